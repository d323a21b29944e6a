"""What sources have right now: the question that `watch` asks again and again."""

from typing import Final

from prefect_delivery.lineage import repository_of
from prefect_delivery.registry import watched_of
from prefect_delivery.trigger_filters import WatchedSource

MINUTES: Final = 0.5
"""That a source may take to answer."""


def look_at(source: WatchedSource) -> dict[str, str]:
    """What a source has now, by ref: of git the commit of each branch and tag.

    Raises:
        ActionFailed: It cannot be read.
    """
    if watched := watched_of(source.uses):
        return watched.look(source.with_)
    with repository_of(source, minutes=MINUTES) as repository:
        return repository.refs()
