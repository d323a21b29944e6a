"""Which stages and actions are certain to come before which."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from prefect_delivery.definition.models import Action, Pipeline, Stage


class Order:
    """What is earlier in a pipeline; holds for wrong `needs` as well."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.stages = pipeline.stages

    @cached_property
    def needs(self) -> dict[str, list[str]]:
        """Each stage's direct needs that exist."""
        return {
            name: [need for need in needs_of(self.stages, name) if need in self.stages]
            for name in self.stages
        }

    @cached_property
    def before(self) -> dict[str, set[str]]:
        """All stages that have succeeded when a stage starts."""
        return {name: set(self._reachable(name)) for name in self.stages}

    @cached_property
    def sound(self) -> bool:
        """Whether all needs exist and none leads back to its stage."""
        return all(
            self.needs[name] == needs_of(self.stages, name)
            and name not in self.before[name]
            for name in self.stages
        )

    def earlier(self, first: tuple[str, str], then: tuple[str, str]) -> bool:
        """Whether an action has always ended before another starts.

        Args:
            first: Stage and action that shall come first.
            then: Stage and action that shall come later.
        """
        if first[0] != then[0]:
            return first[0] in self.before[then[0]]
        return self._action(first).run_order < self._action(then).run_order

    def _action(self, at: tuple[str, str]) -> Action:
        return self.stages[at[0]].actions[at[1]]

    def _reachable(self, name: str) -> Iterator[str]:
        seen: set[str] = set()
        waiting = list(self.needs[name])
        while waiting:
            stage = waiting.pop()
            if stage not in seen:
                seen.add(stage)
                yield stage
                waiting += self.needs[stage]


def needs_of(stages: Mapping[str, Stage], name: str) -> list[str]:
    """The stages that must succeed before `name`; by default the one before it."""
    needs = stages[name].needs
    if needs is not None:
        return needs
    names = list(stages)
    position = names.index(name)
    return names[position - 1 : position] if position else []


def actions_of(pipeline: Pipeline) -> Iterator[tuple[str, str, Action]]:
    """Every action with the names of its stage and its own."""
    for stage_name, stage in pipeline.stages.items():
        for name, action in stage.actions.items():
            yield stage_name, name, action
