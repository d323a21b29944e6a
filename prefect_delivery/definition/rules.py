"""All rules that the models cannot say: what one part demands of another."""

from collections.abc import Iterator

from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.definition.configuration import check_environments
from prefect_delivery.definition.credentials import check_credentials
from prefect_delivery.definition.events import check_notifications
from prefect_delivery.definition.findings import Finding
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.definition.normal import Specs
from prefect_delivery.definition.structure import check_structure
from prefect_delivery.definition.triggers import check_triggers
from prefect_delivery.definition.wiring import check_wiring


def check(pipeline: Pipeline, specs: Specs, catalogue: Catalogue) -> Iterator[Finding]:
    """What is wrong with a pipeline in normal form.

    Args:
        specs: The actions that it uses, by name; unknown ones left out.
    """
    yield from check_structure(pipeline)
    yield from check_triggers(pipeline)
    yield from check_notifications(pipeline)
    yield from check_credentials(pipeline)
    yield from check_environments(pipeline.environments, catalogue)
    yield from check_wiring(pipeline, specs)
