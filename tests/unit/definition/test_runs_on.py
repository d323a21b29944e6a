"""Where actions run: what a stage says counts for those that may run elsewhere."""

import pytest

from prefect_delivery.cli.plans import make_plan, plan_lines
from prefect_delivery.definition import load
from prefect_delivery.errors import DefinitionError

TEXT = """
pipeline: shop
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: "https://git.example/shop"}}
  Build:
    runs_on: docker
    actions:
      small: {uses: build/commands, with: {commands: [make]}}
      large: {uses: build/commands, with: {commands: [make]}, runs_on: large}
      ok: {uses: approval/manual}
"""


def test_a_stage_speaks_for_those_of_its_actions_that_may_run_elsewhere() -> None:
    stage = load(TEXT).stages["Build"]

    found = {name: action.runs_on for name, action in stage.actions.items()}
    assert found == {"small": "docker", "large": "large", "ok": None}
    assert load(TEXT).pools == ["docker", "large"]


def test_definitions_that_say_the_same_have_the_same_digest() -> None:
    each = TEXT.replace("    runs_on: docker\n", "").replace(
        "small: {", "small: {runs_on: docker, "
    )

    assert load(each).digest == load(TEXT).digest
    assert load(TEXT.replace("docker", "other")).digest != load(TEXT).digest


@pytest.mark.parametrize("uses", ["approval/manual", "source/git"])
def test_what_needs_the_ledger_cannot_be_sent_elsewhere(uses: str) -> None:
    wrong = TEXT.replace(f"uses: {uses}", f"runs_on: docker, uses: {uses}")

    with pytest.raises(DefinitionError) as refused:
        load(wrong, file="delivery.yaml")

    (problem,) = refused.value.problems
    assert "run where the pipeline runs; leave 'runs_on' out" in problem.message
    assert problem.line == (6 if uses == "source/git" else 12)


def test_a_plan_says_where_actions_run() -> None:
    lines = [*plan_lines(make_plan(load(TEXT), {}, {}))]

    assert any("small" in line and line.endswith("on docker") for line in lines)
    assert any("large" in line and line.endswith("on large") for line in lines)
    assert not any("app" in line and " on " in line for line in lines if "git" in line)
