"""The stages of a definition as text: one line for people, Mermaid for pages."""

from itertools import pairwise

from prefect_delivery.cli.plans import conditions
from prefect_delivery.definition.models import Pipeline, Stage
from prefect_delivery.engine.conditions import is_rule, rules_of, shown, spec_of
from prefect_delivery.engine.plan import waves

Groups = list[list[str]]


def ascii_graph(definition: Pipeline) -> str:
    """The stages in order, such as `Source(app) ── Build(unit ∥ package)`.

    `→` stands between run-order groups, `∥` between what runs side by side; rules have a
    question mark. Where the stages are no plain chain, a line says what each one needs,
    and another one what becomes of a failure.
    """
    found = waves(definition)
    drawn = [_wave(definition, wave) for wave in found]
    lines = [" ── ".join(drawn)]
    if any(len(wave) > 1 for wave in found):
        lines += [
            f"  {name} after {', '.join(stage.needs)}"
            for name, stage in definition.stages.items()
            if stage.needs
        ]
    lines += [
        f"  {name} {condition}"
        for name, stage in definition.stages.items()
        for condition in conditions(stage)
        if condition.when == "on_failure"
    ]
    return "\n".join(lines)


def mermaid_graph(definition: Pipeline) -> str:
    """The stages as a Mermaid flow chart."""
    names = {stage: f"s{number}" for number, stage in enumerate(definition.stages)}
    lines = ["flowchart LR"]
    for wave in waves(definition):
        for stage, groups in wave:
            lines += _subgraph(definition, names[stage], stage, groups)
    lines += [
        f"  {names[need]} --> {names[stage]}"
        for stage, spec in definition.stages.items()
        for need in spec.needs or []
    ]
    return "\n".join(lines)


def _wave(definition: Pipeline, wave: list[tuple[str, Groups]]) -> str:
    stages = [_stage(definition, stage, groups) for stage, groups in wave]
    return stages[0] if len(stages) == 1 else "{" + " ∥ ".join(stages) + "}"


def _stage(definition: Pipeline, stage: str, groups: Groups) -> str:
    spec = definition.stages[stage]
    shown = [
        [_shown(spec, name) for name in group] for group in _with_rules(spec, groups)
    ]
    return f"{stage}({' → '.join(' ∥ '.join(group) for group in shown)})"


def _shown(stage: Stage, name: str) -> str:
    if is_rule(name):
        return name.partition(":")[2] + "?"
    return f"[{name}]" if stage.actions[name].uses.startswith("approval/") else name


def _with_rules(stage: Stage, groups: Groups) -> Groups:
    """What is run in order, with the rules that are asked on the way."""
    before, after = rules_of(stage, "before_entry"), rules_of(stage, "on_success")
    return [group for group in ([*before], *groups, [*after]) if group]


def _subgraph(definition: Pipeline, key: str, stage: str, groups: Groups) -> list[str]:
    spec = definition.stages[stage]
    steps = _with_rules(spec, groups)
    names = [*spec.actions, *rules_of(spec)]
    ids = {name: f"{key}a{number}" for number, name in enumerate(names)}
    lines = [f'  subgraph {key}["{stage}"]']
    lines += [f"    {ids[name]}{_box(spec, name)}" for group in steps for name in group]
    lines += [
        f"    {ids[before]} --> {ids[after]}"
        for first, second in pairwise(steps)
        for before in first
        for after in second
    ]
    lines += [
        f'    {key}f(["{condition}"])'
        for condition in conditions(spec)
        if condition.when == "on_failure"
    ]
    return [*lines, "  end"]


def _box(stage: Stage, name: str) -> str:
    text = f'"{shown(name)}<br/>{spec_of(stage, name).uses}"'
    return f"{{{{{text}}}}}" if is_rule(name) else f"[{text}]"
