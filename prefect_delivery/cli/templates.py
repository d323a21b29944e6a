"""The definitions that `deliver init` writes, by the kind of project."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["python", "node", "static"]


@dataclass(frozen=True, kw_only=True)
class Template:
    """What differs between the kinds of projects."""

    test: str
    build: str


_PYTHON = Template(
    test="""\
      unit:
        uses: test/commands
        with:
          commands: ["python3 -m pytest --junitxml=report.xml"]
          junit: ["report.xml"]  # a failed test fails the stage
""",
    build="""\
      package:
        uses: build/commands
        with:
          commands: ["python3 -m pip wheel --no-deps --wheel-dir dist ."]
        outputs:
          site: ["dist/**"]  # what is deployed, the same bytes everywhere
""",
)
_NODE = Template(
    test="""\
      unit:
        uses: test/commands
        with:
          commands:
            - "npm ci"
            - "npm test"
""",
    build="""\
      package:
        uses: build/commands
        with:
          commands:
            - "npm ci"
            - "npm run build --if-present"
        outputs:
          site: ["**", "!node_modules/**"]  # what is deployed, the same bytes everywhere
""",
)
_STATIC = Template(
    test="""\
      check:
        uses: test/commands
        with:
          commands: ["test -s index.html"]
""",
    build="""\
      package:
        uses: build/commands
        with:
          commands: ["test -s index.html"]
        outputs:
          site: ["**"]  # what is deployed, the same bytes everywhere
""",
)
TEMPLATES: dict[Kind, Template] = {
    "python": _PYTHON,
    "node": _NODE,
    "static": _STATIC,
}

_FRAME = """\
# yaml-language-server: $schema={schema}
# What is delivered here, and how. Check it: deliver validate
pipeline: {name}

# What starts an execution, besides `deliver run`.
on:
  push: {{branches: ["{branch}"]}}

# Where releases go. More kinds and keys: deliver schema host
environments:
  staging: {{kind: host, root: .delivery/staging}}
  production: {{kind: host, root: .delivery/production}}

# Stages follow each other; the actions of one run side by side.
stages:
  Source:
    actions:
      app:
        uses: source/git
        with: {{url: "{url}", branch: "{branch}"}}

  Build:
    actions:
{test}{build}
  Staging:
    actions:
      deploy:
        uses: deploy/environment
        inputs: site
        with: {{environment: staging}}

  Production:
    actions:
      approve:
        uses: approval/manual
        with: {{message: "Is staging fine?"}}
      deploy:
        uses: deploy/environment
        run_order: 2  # after the approval
        inputs: site
        with: {{environment: production}}
"""


def render(kind: Kind, *, name: str, url: str, branch: str, schema: str) -> str:
    """A commented definition for a project.

    Args:
        url: Repository that the source action reads.
        schema: Where editors find the JSON schema.
    """
    template = TEMPLATES[kind]
    return _FRAME.format(
        name=name,
        url=url,
        branch=branch,
        schema=schema,
        test=template.test,
        build=template.build,
    )


_PREFECT = """\
# For those who deploy with Prefect's own command, `prefect deploy --all`: a worker on
# this machine reads delivery.yaml here, each time. `deliver deploy` does more: a form,
# schedules, triggers, and a definition that goes along to workers elsewhere.
name: {name}
pull: null
deployments:
- name: {name}
  entrypoint: prefect_delivery.flows.pipeline.pipeline
  parameters: {{definition: delivery.yaml}}
  tags: [delivery]
  work_pool: {{name: delivery}}
"""


def prefect_yaml(name: str) -> str:
    """What Prefect's own command deploys a project's definition by."""
    return _PREFECT.format(name=name)
