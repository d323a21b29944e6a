"""How many runs a worker takes at once when nobody says it."""

from pathlib import Path

import pytest

from prefect_delivery.deployments import capacity
from prefect_delivery.deployments.worker import DeliveryWorker


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the limit of a control group, on a machine with two cores."""
    file = tmp_path / "memory.max"
    monkeypatch.setattr(capacity, "_LIMITS", [file])
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    return file


@pytest.mark.parametrize(
    ("limit", "runs"),
    [("max\n", 10), (f"{2**30}\n", 4), ("1000\n", 1), (f"{2**62}\n", 10)],
)
def test_cores_and_the_memory_of_the_container_bound_it(
    group: Path, limit: str, runs: int
) -> None:
    group.write_text(limit)

    assert capacity.capacity() == runs


def test_a_worker_has_a_limit_unless_it_is_given_one(group: Path) -> None:
    assert DeliveryWorker(work_pool_name="a")._limit == 10
    assert DeliveryWorker(work_pool_name="a", limit=3)._limit == 3
