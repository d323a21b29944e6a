"""What actions and environments there are, without importing them.

`catalogue.json` ships with the package and is generated from the tasks' signatures by
`prefect_delivery.registry`. Actions of other packages (entry-point group
`prefect_delivery.actions`) are imported when a definition uses them, not before.
"""

import importlib
import json
import sys
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

ACTIONS_GROUP = "prefect_delivery.actions"
ENVIRONMENTS_GROUP = "prefect_delivery.environments"
ALARMS_GROUP = "prefect_delivery.alarms"
FILE = Path(__file__).with_name("catalogue.json")

Schema = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """An input of an action.

    Attributes:
        many: Takes a list of artifacts.
        by_name: Takes a list of artifacts and is given them by their names.
    """

    required: bool = True
    many: bool = False
    by_name: bool = False
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class ActionSpec:
    """What an action takes and leaves.

    Attributes:
        name: `category/provider`.
        task: `module:name` of the Prefect task.
        schema: JSON schema of its configuration (`with:`).
        outputs: `one` artifact, whole; `files` that patterns choose; or `none`.
        variables: What each output variable holds; `*` stands for any other name.
            Without any, every name is allowed.
        cacheable: Whether it may be left out while nothing has changed.
    """

    name: str
    task: str
    summary: str = ""
    description: str = ""
    schema: Schema = field(default_factory=dict[str, Any])
    inputs: dict[str, InputSpec] = field(default_factory=dict[str, InputSpec])
    outputs: Literal["one", "files", "none"] = "none"
    variables: dict[str, str] = field(default_factory=dict[str, str])
    cacheable: bool = False

    @property
    def category(self) -> str:
        return self.name.partition("/")[0]


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The known actions by name, and JSON schemas of environments by kind and of alarms
    by source."""

    actions: dict[str, ActionSpec] = field(default_factory=dict[str, ActionSpec])
    environments: dict[str, Schema] = field(default_factory=dict[str, Schema])
    alarms: dict[str, Schema] = field(default_factory=dict[str, Schema])

    @classmethod
    def load(cls, file: Path = FILE) -> "Catalogue":
        """Read a generated catalogue; by default the one that ships."""
        data = json.loads(file.read_text(encoding="utf-8"))
        return cls(
            actions={
                name: _action_spec(name, spec) for name, spec in data["actions"].items()
            },
            environments=data["environments"],
            alarms=data.get("alarms", {}),
        )

    def action(self, name: str) -> ActionSpec | None:
        """The action of that name, imported if it comes from another package.

        Raises:
            Exception: Whatever the import of the other package's module raises.
        """
        if name in self.actions:
            return self.actions[name]
        point = installed(ACTIONS_GROUP).get(name)
        return self._derived(name, point) if point else None

    def environment(self, kind: str) -> Schema | None:
        """JSON schema of a kind of environment.

        Raises:
            Exception: Whatever the import of the other package's module raises.
        """
        if kind in self.environments:
            return self.environments[kind]
        point = installed(ENVIRONMENTS_GROUP).get(kind)
        if point is None:
            return None
        schema: Schema = _registry().environment_schema(point.load())
        self.environments[kind] = schema
        return schema

    def alarm(self, source: str) -> Schema | None:
        """JSON schema of the alarms of a source.

        Raises:
            Exception: Whatever the import of the other package's module raises.
        """
        if source in self.alarms:
            return self.alarms[source]
        point = installed(ALARMS_GROUP).get(source)
        if point is None:
            return None
        schema: Schema = _registry().model_schema(point.load())
        self.alarms[source] = schema
        return schema

    def alarm_sources(self) -> list[str]:
        """All sources of alarms, those of other packages included."""
        return sorted({*self.alarms, *installed(ALARMS_GROUP)})

    def action_names(self) -> list[str]:
        """Names of all actions, those of other packages included."""
        return sorted({*self.actions, *installed(ACTIONS_GROUP)})

    def environment_kinds(self) -> list[str]:
        """All kinds of environments, those of other packages included."""
        return sorted({*self.environments, *installed(ENVIRONMENTS_GROUP)})

    def as_data(self) -> dict[str, Any]:
        """The catalogue as JSON data, as `load` reads it."""
        actions = {name: asdict(spec) for name, spec in self.actions.items()}
        for spec in actions.values():
            del spec["name"]
        return {
            "actions": actions,
            "environments": self.environments,
            "alarms": self.alarms,
        }

    def _derived(self, name: str, point: EntryPoint) -> ActionSpec:
        spec: ActionSpec = _registry().spec_of(point.load(), task=point.value)
        self.actions[name] = spec
        return spec


def installed(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group; `category.provider` is read as `category/provider`."""
    return _installed(group, tuple(sys.path))


@cache
def _installed(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    # Each look reads the metadata of all that is installed on `path`.
    return {
        point.name.replace(".", "/", 1): point for point in entry_points(group=group)
    }


def _action_spec(name: str, spec: dict[str, Any]) -> ActionSpec:
    inputs = {key: InputSpec(**value) for key, value in spec.pop("inputs").items()}
    return ActionSpec(name=name, inputs=inputs, **spec)


def _registry() -> Any:
    # By name, since the registry imports Prefect, which reading a definition must not.
    return importlib.import_module("prefect_delivery.registry")
