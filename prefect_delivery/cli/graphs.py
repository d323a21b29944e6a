"""The stages of a definition as text: one line for people, Mermaid for pages."""

from itertools import pairwise

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.plan import waves

Groups = list[list[str]]


def ascii_graph(definition: Pipeline) -> str:
    """The stages in order, such as `Source(app) ── Build(unit ∥ package)`.

    `→` stands between run-order groups, `∥` between what runs side by side. Where the
    stages are no plain chain, a line says what each one needs.
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
    actions = definition.stages[stage].actions
    shown = [
        [f"[{a}]" if actions[a].uses.startswith("approval/") else a for a in group]
        for group in groups
    ]
    return f"{stage}({' → '.join(' ∥ '.join(group) for group in shown)})"


def _subgraph(definition: Pipeline, key: str, stage: str, groups: Groups) -> list[str]:
    actions = definition.stages[stage].actions
    ids = {action: f"{key}a{number}" for number, action in enumerate(actions)}
    lines = [f'  subgraph {key}["{stage}"]']
    lines += [
        f'    {ids[action]}["{action}<br/>{actions[action].uses}"]'
        for group in groups
        for action in group
    ]
    lines += [
        f"    {ids[before]} --> {ids[after]}"
        for first, second in pairwise(groups)
        for before in first
        for after in second
    ]
    return [*lines, "  end"]
