"""Which actions may say `cache`, and what of."""

import json
from typing import Any

import pytest

from prefect_delivery.cli.plans import make_plan, plan_lines
from prefect_delivery.definition import load
from prefect_delivery.errors import DefinitionError


def definition(uses: str, cache: Any, **more: Any) -> str:
    source = {"app": {"uses": "source/git", "with": {"url": "https://git.example/a"}}}
    action = {"uses": uses, "cache": cache, "with": {"commands": ["make"]}} | more
    stages = {"Source": {"actions": source}, "Work": {"actions": {"one": action}}}
    return json.dumps({"pipeline": "shop", "stages": stages}, indent=1)


@pytest.mark.parametrize(
    ("uses", "cache", "said"),
    [
        ("build/commands", {"inputs": ["../x"]}, "../x"),
        ("build/commands", {"inputs": []}, "'inputs' must be"),
        ("approval/manual", True, "does or reads more than 'cache' can know of"),
        ("build/buildspec", True, "does or reads more than 'cache' can know of"),
    ],
)
def test_what_cannot_be_cached_is_refused(uses: str, cache: Any, said: str) -> None:
    more: dict[str, Any] = {} if uses == "build/commands" else {"with": {}}

    with pytest.raises(DefinitionError) as refused:
        load(definition(uses, cache, **more), file="delivery.yaml")

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "cached"),
        ({"runs_on": "pool"}, "not cached: what its work pool runs it in is not known"),
        (
            {"with": {"commands": ["x"], "environment": {"N": "#{execution.number}"}}},
            "not cached: #{execution.number} is another one each time",
        ),
    ],
)
def test_the_plan_says_what_is_cached(more: dict[str, Any], said: str) -> None:
    made = load(definition("build/commands", True, **more), file="delivery.yaml")

    lines = [*plan_lines(make_plan(made, {}, {}))]

    assert any(line.endswith(f"  {said}") for line in lines)
