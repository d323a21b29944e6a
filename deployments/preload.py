"""Do what the first run of a pipeline would have to do, once for all that are forked."""

from collections.abc import Iterator

from pydantic import BaseModel

from prefect_delivery.deployments.certificates import share
from prefect_delivery.registry import derive


def complete(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Complete models that pydantic would complete when they are first used."""
    for kind in model.__subclasses__():
        if not kind.__pydantic_complete__ and kind.model_rebuild(raise_errors=False):
            yield kind
        yield from complete(kind)


derive()
completed = list(complete(BaseModel))
share()
