"""In which order a pipeline's stages and actions run."""

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.decide import run_order


def waves(definition: Pipeline) -> list[list[tuple[str, list[list[str]]]]]:
    """Stages by wave: those of one wave may run side by side.

    Returns:
        Waves in order; each stage with its run-order groups of action names.
    """
    level: dict[str, int] = {}
    while len(level) < len(definition.stages):
        for name, stage in definition.stages.items():
            needs = stage.needs or []
            if name not in level and all(need in level for need in needs):
                level[name] = 1 + max((level[need] for need in needs), default=-1)
    return [
        [
            (name, run_order(definition.stages[name]))
            for name in definition.stages
            if level[name] == wave
        ]
        for wave in range(max(level.values()) + 1)
    ]
