"""What the catalogue says of an action is what its signature says."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from prefect.blocks.core import Block
from pydantic import BaseModel, Field

from prefect_delivery import registry
from prefect_delivery.actions import (
    Artifact,
    Job,
    Minutes,
    Outputs,
    Patterns,
    ShellLine,
    action,
)
from prefect_delivery.definition.catalogue import InputSpec
from prefect_delivery.errors import Refused
from prefect_delivery.signature import environment_schema, spec_of


class Door(Block):
    """A door."""

    _block_type_slug = "delivery-door-environment"

    bells: dict[str, int] = Field(default_factory=dict, description="By name.")
    secret: int


class Cache(BaseModel):
    """A cache."""

    key: str
    title: str = "x"


class Connection:
    """Nothing that JSON could say."""


@action("build/everything", variables={"size": "In bytes."})
def everything(
    source: Artifact,
    commands: list[ShellLine],
    door: str | Door,
    *,
    more: list[Artifact] = [],
    named: dict[str, Artifact] = {},
    signature: Artifact | None = None,
    copy: Annotated[int | None, Field(gt=1)] = None,
    kind: Literal["fast", "slow"] = "fast",
    cache: Cache | None = None,
    options: dict[str, Any] = {},
    folder: Path = Path(),
    connection: Connection | None = None,
    only_door: Door | None = None,
    outputs: Patterns = {},
    timeout: Minutes = 60,
    job: Job = Job(),
) -> Outputs:
    """Do everything.

    All of it,
    at once.

    Args:
        source: What it starts from.
        commands: Lines
            of text.

    Returns:
        Nothing.
    """
    return Outputs()


SPEC = spec_of(everything, task="acme:everything")
PROPERTIES = SPEC.schema["properties"]


def test_the_docstring_says_what_it_is() -> None:
    assert SPEC.summary == "Do everything."
    assert SPEC.description == "All of it, at once."
    assert PROPERTIES["commands"]["description"] == "Lines of text."


def test_artifacts_are_inputs() -> None:
    assert SPEC.inputs == {
        "source": InputSpec(description="What it starts from."),
        "more": InputSpec(required=False, many=True),
        "named": InputSpec(required=False, many=True, by_name=True),
        "signature": InputSpec(required=False),
    }


def test_what_json_can_say_is_configuration() -> None:
    assert list(PROPERTIES) == [
        "commands",
        "door",
        "copy",
        "kind",
        "cache",
        "options",
        "folder",
        "timeout",
    ]
    assert SPEC.schema["required"] == ["commands", "door"]
    assert SPEC.schema["additionalProperties"] is False


def test_of_a_block_or_its_name_only_the_name_is_configuration() -> None:
    assert PROPERTIES["door"] == {"type": "string"}


def test_limits_and_choices_are_kept() -> None:
    assert PROPERTIES["timeout"]["maximum"] == 86_400
    assert PROPERTIES["kind"]["enum"] == ["fast", "slow"]
    assert PROPERTIES["copy"]["anyOf"][0] == {"type": "integer", "exclusiveMinimum": 1}
    assert PROPERTIES["commands"]["items"]["x-no-variables"] is True


def test_nested_models_keep_a_field_called_title() -> None:
    assert list(SPEC.schema["$defs"]["Cache"]["properties"]) == ["key", "title"]
    assert "title" not in SPEC.schema["$defs"]["Cache"]


def test_outputs_are_patterns_where_the_parameter_exists() -> None:
    @action("deploy/nothing")
    def nothing(source: Artifact) -> Outputs:
        return Outputs()

    @action("source/nothing")
    def bring() -> Outputs:
        return Outputs()

    assert SPEC.outputs == "files"
    assert spec_of(nothing, task="x:y").outputs == "none"
    assert spec_of(bring, task="x:y").outputs == "one"


def test_an_environment_block_is_described_without_what_prefect_adds() -> None:
    assert environment_schema(Door) == {
        "type": "object",
        "description": "A door.",
        "properties": {
            "bells": {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "description": "By name.",
            },
            "secret": {"type": "integer"},
        },
        "required": ["secret"],
        "additionalProperties": False,
    }


def test_the_task_of_an_action_is_found_by_its_name() -> None:
    from prefect_delivery.tasks.approval.manual import ask

    assert registry.task_of("approval/manual") is ask


@pytest.mark.parametrize(
    "name", ["approval/nothing", "nothing/at-all", "source/access"]
)
def test_a_name_without_a_task_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=f"no action '{name}' is installed here"):
        registry.task_of(name)


def test_every_action_is_found_where_its_name_says() -> None:
    catalogue = registry.derive()

    assert {name: registry.task_of(name).name for name in catalogue.actions} == {
        name: name for name in catalogue.actions
    }


def test_the_generated_files_are_in_step_with_the_tasks() -> None:
    stale = [
        str(file)
        for file, text in registry.generated().items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]

    assert stale == [], "run python -m prefect_delivery.registry"
