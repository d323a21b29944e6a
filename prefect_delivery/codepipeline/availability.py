"""Whether what an imported pipeline uses can run here."""

from collections.abc import Iterator

from prefect_delivery.codepipeline.names import type_of
from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.definition.findings import named
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.errors import Refused


def refuse_ended(pipeline: Pipeline) -> None:
    """Refuse a pipeline with an action whose service AWS has ended.

    Raises:
        Refused: Names the first such action.
    """
    for place, uses in _used(pipeline):
        kind = type_of(uses)
        if kind and kind.ended:
            raise Refused(
                f"{place} uses {kind.provider}, which AWS has ended",
                hint="replace the action; import and export still work",
            )


def refuse_missing(pipeline: Pipeline) -> None:
    """Refuse to run a pipeline with an action that is not installed.

    Raises:
        Refused: Names the first such action or rule.
    """
    if not (pipeline.codepipeline and pipeline.codepipeline.only_there):
        return
    refuse_ended(pipeline)
    catalogue = Catalogue.load()
    for place, uses in _used(pipeline):
        if uses in pipeline.codepipeline.only_there and not catalogue.action(uses):
            raise Refused(
                f"{place} uses {named(uses)}, which is not installed here",
                hint="replace it in the definition, or install a package with it",
            )


def _used(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    for stage_name, stage in pipeline.stages.items():
        for name, action in stage.actions.items():
            yield f"action {named(f'{stage_name} / {name}')}", action.uses
        for condition in (stage.before_entry, stage.on_success, stage.on_failure):
            for name, rule in (condition.rules if condition else {}).items():
                yield f"rule {named(f'{stage_name} / {name}')}", rule.uses
