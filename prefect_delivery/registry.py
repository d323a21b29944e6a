"""Finds actions, and derives from their signatures what the catalogue says of them.

    python -m prefect_delivery.registry            # writes the generated files
    python -m prefect_delivery.registry --check    # fails when they are out of date

There is no list to keep: `build/commands` is the task of that name in the module
`prefect_delivery.tasks.build.commands`.
"""

import importlib
import importlib.util
import keyword
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from prefect import Task
from prefect.blocks.core import Block

import prefect_delivery.blocks
import prefect_delivery.tasks
import prefect_delivery.tasks.alarms
from prefect_delivery.actions import ACTION, WATCHED, Watched
from prefect_delivery.definition.catalogue import (
    ACTIONS_GROUP,
    FILE,
    ActionSpec,
    Catalogue,
    Schema,
    installed,
)
from prefect_delivery.errors import Refused
from prefect_delivery.signature import environment_schema, model_schema, spec_of
from prefect_delivery.tasks.rules.alarm import is_alarm

_FOLDERS = {"rule": "rules"}
"""Categories whose folder under `tasks` is called otherwise."""

__all__ = [
    "derive",
    "environment_schema",
    "model_schema",
    "spec_of",
    "task_of",
    "watched_of",
]


def task_of(uses: str) -> Task[..., Any]:
    """The task that carries out an action.

    Args:
        uses: `category/provider`.

    Raises:
        Refused: No such action is installed here.
    """
    category, _, provider = uses.partition("/")
    folder = _FOLDERS.get(category, category)
    name = provider.replace("-", "_")
    # `lambda` can be no name of a module that is imported by a statement.
    name += "_" * keyword.iskeyword(name)
    module = f"prefect_delivery.tasks.{folder}.{name}"
    if _exists(module):
        for task in _tasks_in(importlib.import_module(module)):
            if _action_name(task) == uses:
                return task
    if point := installed(ACTIONS_GROUP).get(uses):
        task = point.load()
        if isinstance(task, Task):
            return task
        raise Refused(f"entry point '{point.value}' for '{uses}' is not a Prefect task")
    raise Refused(
        f"no action '{uses}' is installed here",
        hint="install the package that brings it, where the pipeline runs",
    )


@cache
def watched_of(uses: str) -> Watched | None:
    """How changes of a source are found, as its action declares it; None if it does not.

    Args:
        uses: `source/provider`.
    """
    try:
        return getattr(task_of(uses), WATCHED, None)
    except Refused:
        return None  # it is not installed here


def derive() -> Catalogue:
    """The catalogue of everything that this package brings."""
    actions: dict[str, ActionSpec] = {}
    for module in _modules(prefect_delivery.tasks):
        for name, task in _named_tasks(module):
            actions[_action_name(task)] = spec_of(
                task, task=f"{module.__name__}:{name}"
            )
    alarms: dict[str, Schema] = {}
    for module in _modules(prefect_delivery.tasks.alarms):
        source = module.__name__.rpartition(".")[2].replace("_", "-")
        for value in vars(module).values():
            if is_alarm(value) and value.__module__ == module.__name__:
                alarms[source] = model_schema(value)
    environments: dict[str, Schema] = {}
    for module in _modules(prefect_delivery.blocks):
        for kind, block in _environment_kinds(module):
            environments[kind] = environment_schema(block)
    return Catalogue(
        actions=dict(sorted(actions.items())),
        environments=dict(sorted(environments.items())),
        alarms=dict(sorted(alarms.items())),
    )


def generated() -> dict[Path, str]:
    """The files that are generated, with what they shall hold."""
    from prefect_delivery.codepipeline.aws_page import aws_page
    from prefect_delivery.definition.reference import reference_page
    from prefect_delivery.definition.schema import as_json, editor_schema
    from prefect_delivery.events_page import events_page

    catalogue = derive()
    docs = FILE.parents[2] / "docs"
    return {
        FILE: as_json(catalogue.as_data()),
        docs / "schema" / "delivery.schema.json": as_json(editor_schema(catalogue)),
        docs / "reference" / "actions.md": reference_page(catalogue),
        docs / "aws-actions.md": aws_page(catalogue),
        docs / "events.md": events_page(),
    }


def main(arguments: list[str]) -> int:
    """Write the generated files, or with `--check` say which are out of date."""
    stale = {
        file: text
        for file, text in generated().items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    }
    for file, text in stale.items():
        if "--check" in arguments:
            print(f"{file} is out of date; run python -m prefect_delivery.registry")
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(f"wrote {file}")
    return 1 if stale and "--check" in arguments else 0


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        yield importlib.import_module(found.name)


def _named_tasks(module: ModuleType) -> Iterator[tuple[str, Task[..., Any]]]:
    for name, value in vars(module).items():
        if (
            isinstance(value, Task)
            and _action_name(value)
            and value.fn.__module__ == module.__name__
        ):
            yield name, value


def _tasks_in(module: ModuleType) -> list[Task[..., Any]]:
    return [task for _, task in _named_tasks(module)]


def _action_name(task: Task[..., Any]) -> str:
    return str(getattr(task, ACTION, ""))


def _environment_kinds(module: ModuleType) -> Iterator[tuple[str, type[Block]]]:
    for value in vars(module).values():
        if not isinstance(value, type) or not issubclass(value, Block):
            continue
        slug = value._block_type_slug or ""
        kind = slug.removeprefix("delivery-").removesuffix("-environment")
        if (
            value.__module__ == module.__name__
            and slug == f"delivery-{kind}-environment"
        ):
            yield kind, value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
