"""Chance that can be had again: every fault test runs once for each of some seeds.

DELIVERY_FAULT_SEEDS=100 pytest tests/faults           # more than the usual handful
pytest tests/faults/test_row_07_worker_lost.py -k "seed17-"   # one of them again
"""

import os

import pytest

HANDFUL = 3
SEEDS = int(os.environ.get("DELIVERY_FAULT_SEEDS", HANDFUL))


def seeded(*, handful: int = HANDFUL) -> pytest.MarkDecorator:
    """Run a test for each seed, given as `seed`, a text for `random.Random`.

    Args:
        handful: Seeds when nobody asks for more, fewer where one takes long.
    """
    count = max(1, _count(handful))
    return pytest.mark.parametrize("seed", [f"seed{n}-" for n in range(count)])


def batched(size: int, *, handful: int = HANDFUL) -> pytest.MarkDecorator:
    """Run a test for some seeds at once, given as `seeds`: many in one dear drama.

    Args:
        size: Seeds in a batch, at most.
        handful: Seeds when nobody asks for more, fewer where one takes long.
    """
    count = max(1, _count(handful))
    batches = [range(n, min(n + size, count)) for n in range(0, count, size)]
    return pytest.mark.parametrize(
        "seeds",
        [[f"seed{n}-" for n in batch] for batch in batches],
        ids=[f"seed{batch[0]}to{batch[-1]}-" for batch in batches],
    )


def _count(handful: int) -> int:
    """Seeds to take: as many as were asked for, or else a handful."""
    return SEEDS if "DELIVERY_FAULT_SEEDS" in os.environ else handful


def number_of(seed: str) -> int:
    """The number in a seed, for tests that take their cases in turn."""
    return int(seed.removeprefix("seed").removesuffix("-"))
