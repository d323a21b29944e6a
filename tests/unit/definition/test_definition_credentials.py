"""No secret may stand in a definition, and no message may show one that does."""

import pytest

from prefect_delivery import control
from prefect_delivery.definition import load
from prefect_delivery.errors import DefinitionError

TOKEN = "ghp_canary0Token0of0GitHub000000000000"
DEFINITION = """\
pipeline: shop
variables: {url: {default: "https://git.example/shop"}}
stages:
  Source:
    actions:
      app: {uses: %s, with: {%s}}
  Build:
    actions:
      site: {uses: build/commands, inputs: app, with: {commands: [make]}}
"""
GITHUB = "owner: acme, repo: shop, branch: main, oauth_token: "


@pytest.mark.parametrize(
    ("uses", "configuration"),
    [
        ("source/git", f'url: "https://ann:{TOKEN}@git.example/shop"'),
        ("source/git", f'url: "https://{TOKEN}@git.example/shop"'),
        ("source/git", f'url: "ssh://git:{TOKEN}@git.example/shop"'),
        ("source/git", f'url: "https://git.example/shop", credentials: "{TOKEN}"'),
        ("source/github", f"{GITHUB}{TOKEN}"),
        ("source/github", f"{GITHUB}{'ab12' * 10}"),
    ],
)
def test_a_literal_secret_is_refused_and_not_shown(
    uses: str, configuration: str
) -> None:
    with pytest.raises(DefinitionError, match=r"secret|credentials") as wrong:
        load(DEFINITION % (uses, configuration))

    (problem,) = wrong.value.problems
    assert problem.line == 6
    assert TOKEN not in str(wrong.value)


@pytest.mark.parametrize(
    ("uses", "configuration"),
    [
        ("source/git", 'url: "ssh://git@git.example/shop"'),
        ("source/git", 'url: "git@git.example:shop"'),
        ("source/git", 'url: "#{variables.url}"'),
        ("source/git", 'url: "https://git.example/@acme/shop"'),
        ("source/git", 'url: "https://git.example/shop", credentials: env:GIT_TOKEN'),
        ("source/github", f"{GITHUB}github-token"),
        ("source/github", f'{GITHUB}"****"'),
    ],
)
def test_what_names_a_secret_is_allowed(uses: str, configuration: str) -> None:
    assert load(DEFINITION % (uses, configuration)).pipeline == "shop"


def test_a_variable_keeps_no_credentials() -> None:
    definition = load(DEFINITION % ("source/git", 'url: "#{variables.url}"'))

    found = control.resolved(
        definition, {"url": f"https://ann:{TOKEN}@git.example/shop"}
    )

    assert found == {"url": "https://****@git.example/shop"}
