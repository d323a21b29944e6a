from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prefect_delivery.buildspec.loader import load_buildspec
from prefect_delivery.buildspec.models import Buildspec, OnFailure
from prefect_delivery.errors import DefinitionError

WHOLE = """\
version: 0.2
run-as: builder
env:
  shell: bash
  variables: {NUMBER: 3.10, FLAG: yes, EMPTY: }
  parameter-store: {P: /a/b}
  secrets-manager: {S: "name:key:AWSCURRENT:"}
  exported-variables: [TAG]
  git-credential-helper: yes
proxy: {logs: no}
phases:
  install:
    runtime-versions: {python: 3.10, nodejs: 20}
    commands: pip install x
  build:
    run-as: other
    on-failure: RETRY-2-timed out
    commands:
      - make
      -
      - |
        echo a: b
    finally: [clean]
reports:
  unit: {files: ['**/*.xml'], base-directory: out, file-format: nunit3xml}
artifacts:
  files: ['**/*']
  discard-paths: yes
  exclude-paths: '*.log'
  secondary-artifacts:
    docs: {files: [docs/*], name: "d-$(date)"}
cache:
  key: k-$X
  fallback-keys: [k-]
  action: save
  paths: [node_modules/**/*]
"""

HEAD = "version: 0.2\nphases: {build: {commands: [make]}}\n"


def load(text: str) -> Buildspec:
    return load_buildspec(text, "buildspec.yml")


def refusal(text: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        load(text)
    assert all(problem.line for problem in caught.value.problems)
    return str(caught.value)


def test_every_part_of_a_buildspec_is_read() -> None:
    read = load(WHOLE)

    assert read.env.variables == {"NUMBER": "3.10", "FLAG": "yes", "EMPTY": ""}
    assert (read.env.parameters, read.env.exported) == ({"P": "/a/b"}, ("TAG",))
    assert read.env.secrets == {"S": "name:key:AWSCURRENT:"}
    assert read.runtimes == {"python": "3.10", "nodejs": "20"}
    install, build = read.phases
    assert (install.user, install.commands) == ("builder", ("pip install x",))
    assert (build.user, build.last) == ("other", ("clean",))
    assert build.commands == ("make", "echo a: b\n")
    assert build.on_failure == OnFailure(result="RETRY", retries=2, pattern="timed out")
    assert [(g.name, g.format, g.base) for g in read.reports] == [
        ("unit", "NUNIT3XML", "out")
    ]
    assert read.artifacts
    assert (read.artifacts.flat, read.artifacts.exclude) == (True, ("*.log",))
    assert read.secondary["docs"].name == "d-$(date)"
    assert read.cache
    assert (read.cache.restore, read.cache.save) == (False, True)
    assert read.cache.fallback == ("k-",)
    assert len(read.notes) == 3


def test_version_0_1_has_its_variables_elsewhere() -> None:
    read = load(
        "version: '0.1'\nenvironment_variables: {plaintext: {A: 1}}\n"
        "phases: {install: }\nartifacts: {type: zip, files: a.txt}\n"
    )

    assert (read.version, read.env.variables) == ("0.1", {"A": "1"})
    assert read.artifacts
    assert read.artifacts.files == ("a.txt",)
    assert read.notes == ()


def test_unknown_keys_are_told_and_passed_over() -> None:
    read = load(HEAD + "env: {variable: {A: b}}\nextra: 1\n")

    assert read.notes == (
        "unknown key 'extra'",
        "unknown key 'variable' in 'env'; did you mean 'variables'?",
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the definition is empty"),
        ("phases: {}", "1:1: a buildspec needs a version"),
        ("version: 0.3\nphases: {}", "1:10: buildspec version '0.3' is not supported"),
        ("version: 0.2", "1:1: a buildspec needs 'phases'"),
        (
            "version: 0.2\nphases:\n  biuld:\n    commands: [a]",
            "3:3: there is no phase 'biuld'; did you mean 'build'?",
        ),
        (
            'version: 0.2\nphases:\n  build:\n    commands:\n      - echo "a: b"',
            "5:9: 'phases/build/commands'[0] must be text, but holds subkeys",
        ),
        (
            "version: 0.2\nphases:\n  build: [a]",
            "3:3: 'phases/build' must be a mapping",
        ),
        (
            "version: 0.2\nphases: {build: {on-failure: RETRY-101}}",
            "2:30: 'on-failure' retries at most 100 times",
        ),
        ("version: 0.2\nphases: {build: {on-failure: abort}}", "'on-failure' must be"),
        (
            "version: 0.2\nphases: {build: {on-failure: 'RETRY-('}}",
            "regular expression",
        ),
        (HEAD + "reports: {a: {files: x, file-format: XML}}", "not 'XML'"),
        (HEAD + "reports: {a: {}}", "3:11: report group 'a' needs 'files'"),
        (HEAD + "artifacts: {name: x}", "3:1: 'artifacts' needs 'files'"),
        (HEAD + "artifacts: {files: x, discard-paths: maybe}", "must be yes or no"),
        (HEAD + "cache: {key: a}", "3:1: 'cache' needs 'paths'"),
        (HEAD + "env: {shell: fish}", "not 'fish'"),
        (HEAD + "env: {variables: [a]}", "'env/variables' must be a mapping"),
        (HEAD + "\tenv: 1", "3:1: not YAML"),
    ],
)
def test_what_codebuild_refuses_is_refused_at_its_place(text: str, says: str) -> None:
    assert says in refusal(text)


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = refusal("version: 0.2\nphases: {x: , y: }\ncache: {key: a}\n")

    assert text.count("there is no phase") == 2
    assert "'cache' needs 'paths'" in text


@pytest.mark.parametrize(
    ("text", "retries", "pattern"),
    [
        ("RETRY", 3, ".*"),
        ("RETRY-0", 0, ".*"),
        ("RETRY-100", 100, ".*"),
        ("RETRY-.*timeout.*", 3, ".*timeout.*"),
        ("RETRY-5-a-b", 5, "a-b"),
        ('RETRY-1-"throttled"', 1, "throttled"),
    ],
)
def test_retries_have_a_count_and_a_pattern(
    text: str, retries: int, pattern: str
) -> None:
    read = load(f"version: 0.2\nphases: {{build: {{on-failure: '{text}'}}}}")

    wanted = OnFailure(result="RETRY", retries=retries, pattern=pattern)
    assert read.phases[0].on_failure == wanted


WORDS = st.sampled_from(
    [
        *("version", "0.2", "env", "phases", "build", "commands", "finally", "batch"),
        *("build-graph", "build-matrix", "dynamic", "variables", "identifier", "files"),
        *("depend-on", "artifacts", "secondary-artifacts", "reports", "cache", "paths"),
        *("on-failure", "RETRY-9-x", "build-fanout", "parallelism", "", "~", "9"),
    ]
)
TREES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(WORDS, st.none(), st.integers(), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=6)
    ),
    max_leaves=30,
)


@given(
    st.one_of(
        st.text(),
        TREES.map(lambda tree: _json({"version": 0.2, "phases": tree})),
        st.dictionaries(WORDS, TREES).map(lambda tree: _json(tree)),
    )
)
@example("version: &a [*a]")
def test_any_text_is_a_buildspec_or_an_error(text: str) -> None:
    try:
        read = load(text)
    except DefinitionError as error:
        assert error.problems
    else:
        assert read.version in {"0.1", "0.2"}


def _json(tree: Any) -> str:
    import json

    return json.dumps(tree)
