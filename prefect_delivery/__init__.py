"""Continuous delivery on Prefect: pipelines, environments, rollouts."""

from typing import Any


def __dir__() -> list[str]:
    # `prefect block register -m prefect_delivery` looks here for blocks.
    from prefect_delivery.blocks.collection import BLOCKS

    return [*globals(), *BLOCKS]


def __getattr__(name: str) -> Any:
    # Only for blocks: whoever needs none does not wait until Prefect is imported.
    if name[:1].isupper():
        from prefect_delivery.blocks.collection import BLOCKS

        if name in BLOCKS:
            return BLOCKS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
