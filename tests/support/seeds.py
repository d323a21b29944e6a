"""Chance that can be had again: every fault test runs once for each of some seeds.

DELIVERY_FAULT_SEEDS=100 pytest tests/faults           # more than the usual handful
pytest tests/faults/test_row_07_worker_lost.py -k "seed17-"   # one of them again
"""

import os

import pytest

HANDFUL = 3
SEEDS = int(os.environ.get("DELIVERY_FAULT_SEEDS", HANDFUL))


def seeded(*, one_in: int = 1, handful: int = HANDFUL) -> pytest.MarkDecorator:
    """Run a test for each seed, given as `seed`, a text for `random.Random`.

    Args:
        one_in: Take so many times fewer seeds, where one takes long; at least one.
        handful: Seeds when nobody asks for more, fewer where one takes long.
    """
    count = max(1, min(SEEDS, handful) if SEEDS == HANDFUL else SEEDS // one_in)
    return pytest.mark.parametrize("seed", [f"seed{n}-" for n in range(count)])


def batched(size: int) -> pytest.MarkDecorator:
    """Run a test for some seeds at once, given as `seeds`: many in one dear drama.

    Args:
        size: Seeds in a batch, at most.
    """
    count = max(1, SEEDS)
    batches = [range(n, min(n + size, count)) for n in range(0, count, size)]
    return pytest.mark.parametrize(
        "seeds",
        [[f"seed{n}-" for n in batch] for batch in batches],
        ids=[f"seed{batch[0]}to{batch[-1]}-" for batch in batches],
    )


def number_of(seed: str) -> int:
    """The number in a seed, for tests that take their cases in turn."""
    return int(seed.removeprefix("seed").removesuffix("-"))
