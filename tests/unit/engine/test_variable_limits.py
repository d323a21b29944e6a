"""Limits of variables (CodePipeline's, reference A11), each by its rule."""

import pytest
from world import execution_of, pipeline, stage

from prefect_delivery import control
from prefect_delivery.definition.models import Action, Pipeline
from prefect_delivery.engine.resolve import MOST_CONFIGURATION, call_of
from prefect_delivery.errors import ActionFailed, Refused


@pytest.fixture
def shop() -> Pipeline:
    source = {"uses": "source/git", "with": {"url": "."}}
    return Pipeline.model_validate(
        {
            "pipeline": "shop",
            "variables": {"region": {}, "greeting": {"default": "hello"}},
            "stages": {"Source": {"actions": {"app": source}}},
        }
    )


def test_a_value_has_1_to_1000_characters(shop: Pipeline) -> None:
    control.check(shop, variables={"region": "x" * 1000})

    with pytest.raises(Refused, match="1001 characters; 1000 are the most"):
        control.check(shop, variables={"region": "x" * 1001})
    with pytest.raises(Refused, match="'region' needs a value"):
        control.check(shop, variables={"region": ""})


def test_a_variable_without_default_is_required(shop: Pipeline) -> None:
    with pytest.raises(Refused, match="'region' needs a value"):
        control.check(shop)


def test_a_source_revision_that_is_given_is_not_empty(shop: Pipeline) -> None:
    with pytest.raises(Refused, match="revision of 'app' is empty"):
        control.check(shop, variables={"region": "eu"}, revisions={"app": ""})


def test_a_resolved_configuration_takes_at_most_100_kilobytes() -> None:
    frame = len('{"text": ""}')
    fits, large = ("x" * (MOST_CONFIGURATION - frame + more) for more in (0, 1))

    def call(value: str) -> None:
        given = {"uses": "build/commands", "with": {"text": value}}
        run = Action.model_validate(given)
        execution = execution_of(pipeline(Build=stage(run=run)))
        call_of(execution, "Build", "run")

    call(fits)
    with pytest.raises(ActionFailed, match="102,400 are the most"):
        call(large)
