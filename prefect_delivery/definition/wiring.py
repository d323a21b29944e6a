"""Rules on what flows between actions: artifacts and variables."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from prefect_delivery.definition.catalogue import ActionSpec
from prefect_delivery.definition.findings import Finding, Path, listed, meant, named
from prefect_delivery.definition.models import (
    SOURCE,
    Action,
    CacheInputs,
    Pipeline,
    Rule,
)
from prefect_delivery.definition.normal import Specs, default_namespace
from prefect_delivery.definition.order import Order, actions_of
from prefect_delivery.definition.patterns import pattern_problem
from prefect_delivery.definition.variables import Reference, malformed, references

_BUILT_IN = {"execution": ["id", "number"], "pipeline": ["name"]}
_RESERVED = {"variables", *_BUILT_IN}

At = tuple[str, str]


class Asked(NamedTuple):
    """Where a rule stands: asked before a stage, or when its actions have ended."""

    stage: str
    when: str


def check_wiring(pipeline: Pipeline, specs: Specs) -> Iterator[Finding]:
    """What is wrong with artifacts and variables of a pipeline in normal form."""
    wiring = _Wiring(pipeline, specs)
    for stage, name, action in actions_of(pipeline):
        path: Path = ("stages", stage, "actions", name)
        spec = specs.get(action.uses)
        yield from wiring.check_namespace((stage, name), action, path)
        yield from wiring.check_outputs((stage, name), action, spec, path)
        yield from wiring.check_inputs((stage, name), action, spec, path)
        if spec:
            yield from _check_cache(action, spec, (*path, "cache"))
        with_path = (*path, "with")
        yield from wiring.check_variables((stage, name), action.with_, with_path)
    yield from wiring.check_rules()
    yield from _check_environments(pipeline)


class _Wiring:
    def __init__(self, pipeline: Pipeline, specs: Specs) -> None:
        self.pipeline = pipeline
        self.specs = specs
        self.order = Order(pipeline)
        self.producers: dict[str, At] = {}
        self.namespaces: dict[str, list[At]] = {}
        for stage, name, action in actions_of(pipeline):
            namespace = action.namespace or default_namespace(name)
            self.namespaces.setdefault(namespace, []).append((stage, name))
            for artifact in action.outputs:
                self.producers.setdefault(artifact, (stage, name))

    def check_namespace(self, at: At, action: Action, path: Path) -> Iterator[Finding]:
        namespace = action.namespace or default_namespace(at[1])
        place = (*path, "namespace")
        if namespace in _RESERVED:
            message = f"namespace {named(namespace)} is taken; give another 'namespace'"
            yield Finding(path=place, message=message, key=True)
        # Equal names in two stages are fine until somebody refers to one of them.
        elif namespace != default_namespace(at[1]):
            for other in self.namespaces[namespace]:
                if other != at:
                    message = (
                        f"namespace {named(namespace)} is also that of {_title(other)}"
                    )
                    yield Finding(path=place, message=message)
                    break

    def check_outputs(
        self, at: At, action: Action, spec: ActionSpec | None, path: Path
    ) -> Iterator[Finding]:
        for artifact, patterns in action.outputs.items():
            place = (*path, "outputs", artifact)
            first = self.producers[artifact]
            if first != at:
                message = (
                    f"artifact {named(artifact)} is already left by {_title(first)}"
                )
                yield Finding(path=place, message=message, key=True)
            for index, pattern in enumerate(patterns):
                if problem := pattern_problem(pattern):
                    yield Finding(path=(*place, index), message=problem)
            if spec:
                yield from _check_output(spec, artifact, patterns, place)
        if spec and spec.outputs == "one" and len(action.outputs) > 1:
            message = (
                f"{named(action.uses)} leaves one artifact, not {len(action.outputs)}"
            )
            yield Finding(path=(*path, "outputs"), message=message)

    def check_inputs(
        self, at: At | Asked, action: Action | Rule, spec: ActionSpec | None, path: Path
    ) -> Iterator[Finding]:
        place = (*path, "inputs")
        if isinstance(action.inputs, str):
            if spec:
                message = f"{named(action.uses)} takes no artifact"
                yield Finding(path=place, message=message)
            return
        for parameter, names in action.inputs.items():
            if spec:
                yield from _check_parameter(spec, parameter, names, place)
            for index, artifact in enumerate(
                [names] if isinstance(names, str) else names
            ):
                item = (*place, parameter, *([] if isinstance(names, str) else [index]))
                yield from self._check_artifact(at, artifact, item)
        for parameter, wanted in spec.inputs.items() if spec else ():
            if wanted.required and parameter not in action.inputs:
                known = [name for name, by in self.producers.items() if by != at]
                owner = named(path[-1]) if isinstance(at, Asked) else _title(at)
                message = f"input {named(parameter)} of {owner} is missing; "
                message += f"give it {listed(known)}"
                yield Finding(path=(*place, parameter), message=message)

    def _check_artifact(
        self, at: At | Asked, artifact: str, path: Path
    ) -> Iterator[Finding]:
        producer = self.producers.get(artifact)
        if producer is None:
            close = meant(artifact, self.producers)
            message = f"no action leaves the artifact {named(artifact)}{close}"
            yield Finding(path=path, message=message)
        elif self._is_late(producer, at):
            message = f"artifact {named(artifact)} comes from {_title(producer)}, "
            yield Finding(path=path, message=message + self._not_earlier(producer, at))

    def check_variables(
        self, at: At | Asked, value: object, path: Path
    ) -> Iterator[Finding]:
        """Check references in a configuration."""
        for place, text in _texts(value, path):
            if malformed(text):
                message = "'#{' begins a variable: write #{namespace.name}"
                yield Finding(path=place, message=message)
            for reference in references(text):
                if problem := self._reference_problem(at, reference):
                    yield Finding(path=place, message=problem)

    def _reference_problem(self, at: At | Asked, reference: Reference) -> str | None:
        namespace = reference.namespace
        if namespace == "variables":
            return _unless_known(reference, self.pipeline.variables)
        if namespace in _BUILT_IN:
            return _unless_known(reference, _BUILT_IN[namespace])
        owners = self.namespaces.get(namespace, [])
        if not owners:
            known = [*self.namespaces, *_RESERVED]
            return (
                f"no action has the namespace of {reference}{meant(namespace, known)}"
            )
        if len(owners) > 1:
            return (
                f"{reference} may mean {_title(owners[0])} or {_title(owners[1])}; "
                "give one of them a 'namespace'"
            )
        return self._owner_problem(at, owners[0], reference)

    def _owner_problem(
        self, at: At | Asked, owner: At, reference: Reference
    ) -> str | None:
        if self._is_late(owner, at):
            return f"{reference} comes from {_title(owner)}, {self._not_earlier(owner, at)}"
        if self.pipeline.codepipeline:
            # AWS gives its actions new variables before we hear of them, and takes a
            # name that it does not know: the action that asks for it fails there.
            return None
        spec = self.specs.get(self.pipeline.stages[owner[0]].actions[owner[1]].uses)
        if spec and spec.variables and "*" not in spec.variables:
            return _unless_known(reference, spec.variables)
        return None

    def _is_late(self, producer: At, at: At | Asked) -> bool:
        if isinstance(at, Asked):
            own = {at.stage} if at.when != "before_entry" else set()
            known = self.order.before[at.stage] - {at.stage} | own
            return self.order.sound and producer[0] not in known
        # With wrong needs nothing would be earlier, and saying so helps nobody.
        late = not self.order.earlier(producer, at)
        return producer == at or (late and self.order.sound)

    def _not_earlier(self, owner: At, at: At | Asked) -> str:
        if isinstance(at, Asked):
            if at.when == "before_entry":
                return f"which is not earlier than {named(at.stage)}"
            return f"which is neither in {named(at.stage)} nor earlier"
        if owner == at:
            return "which is this action itself"
        if owner[0] == at[0]:
            return "which is not earlier; give this action a higher 'run_order'"
        return f"which is not earlier; stage {named(at[0])} does not need it"

    def check_rules(self) -> Iterator[Finding]:
        for name, stage in self.pipeline.stages.items():
            for when in ("before_entry", "on_success", "on_failure"):
                condition = getattr(stage, when)
                for rule, spec in (condition.rules if condition else {}).items():
                    path: Path = ("stages", name, when, "rules", rule)
                    at = Asked(name, when)
                    yield from self.check_inputs(
                        at, spec, self.specs.get(spec.uses), path
                    )
                    yield from self.check_variables(at, spec.with_, (*path, "with"))


def _check_cache(action: Action, spec: ActionSpec, path: Path) -> Iterator[Finding]:
    if action.cache and not spec.cacheable:
        message = f"{named(spec.name)} does or reads more than 'cache' can know of"
        yield Finding(path=path, message=message, key=True, hint="leave 'cache' out")
    elif isinstance(action.cache, CacheInputs):
        if SOURCE not in spec.inputs:
            message = f"{named(spec.name)} has no input {named(SOURCE)}; write true"
            yield Finding(path=(*path, "inputs"), message=message)
        for index, pattern in enumerate(action.cache.inputs):
            if problem := pattern_problem(pattern):
                yield Finding(path=(*path, "inputs", index), message=problem)


def _check_output(
    spec: ActionSpec, artifact: str, patterns: list[str], path: Path
) -> Iterator[Finding]:
    if spec.outputs == "none":
        message = f"{named(spec.name)} leaves no artifact"
        yield Finding(path=path, message=message, key=True)
    elif spec.outputs == "one" and patterns:
        message = f"artifact {named(artifact)} is the whole source; write [] here"
        yield Finding(path=path, message=message)
    elif spec.outputs == "files" and not patterns:
        message = f"artifact {named(artifact)} needs patterns, such as ['dist/**']"
        yield Finding(path=path, message=message)


def _check_parameter(
    spec: ActionSpec, parameter: str, names: str | list[str], path: Path
) -> Iterator[Finding]:
    place = (*path, parameter)
    if parameter not in spec.inputs:
        message = f"{named(spec.name)} has no input {named(parameter)}"
        message += meant(parameter, spec.inputs)
        hint = f"deliver schema {spec.name}"
        yield Finding(path=place, message=message, key=True, hint=hint)
    elif isinstance(names, list) and not spec.inputs[parameter].many:
        message = f"input {named(parameter)} takes one artifact, not a list"
        yield Finding(path=place, message=message)


def _check_environments(pipeline: Pipeline) -> Iterator[Finding]:
    for path, text in _texts(pipeline.environments, ("environments",)):
        if references(text):
            message = "variables are not replaced in environments"
            yield Finding(path=path, message=message)


def _unless_known(
    reference: Reference, known: Mapping[str, Any] | list[str]
) -> str | None:
    if reference.name in known:
        return None
    others = f"; there is {listed(known, last='and')}"
    return f"no variable {reference}{meant(reference.name, known) or others}"


def _texts(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    match value:
        case str():
            yield path, value
        case dict():
            for key, part in value.items():
                yield from _texts(part, (*path, key))
        case list():
            for index, part in enumerate(value):
                yield from _texts(part, (*path, index))


def _title(at: At) -> str:
    return named(f"{at[0]} / {at[1]}")
