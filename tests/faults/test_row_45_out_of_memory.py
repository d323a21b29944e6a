"""Row 45: a build takes more memory than its action allows, alone or by several
processes together, or more than a control group of the kernel has.

It is ended and reported as out of memory, not only by an exit code. What runs beside it
lives, and so does the process that drives the execution. (In a container it is the
engine that ends it: tests/integration/commands/test_containers.py.)

pytest tests/faults/test_row_45_out_of_memory.py -k "seed17-"
"""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import Project
from seeds import seeded

from prefect_delivery.engine.state import Status

TAKE = "import sys, time; b = bytearray(int(sys.argv[1]) << 20); time.sleep(60)"
GROUPS = Path("/sys/fs/cgroup/memory")
NEIGHBOUR = {
    "uses": "build/commands",
    "inputs": "app",
    "with": {"commands": ["sleep 0.5"]},
}


@pytest.fixture
def take(tmp_path: Path) -> str:
    """A program that takes as many megabytes as it is told."""
    program = tmp_path / "take.py"
    # Written to, since the kernel gives memory only then.
    program.write_text(
        TAKE.replace("; time", "; b[::4096] = b'x' * len(b[::4096]); time")
    )
    return f"{sys.executable} {program}"


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of 60 MB, where this machine lets us make one."""
    made = GROUPS / f"delivery-test-{os.getpid()}"
    try:
        made.mkdir()
        (made / "memory.limit_in_bytes").write_text(str(60 << 20))
    except OSError:
        pytest.skip("this machine lets nobody make a memory control group")
    yield made
    made.rmdir()


@seeded()
def test_a_build_that_takes_too_much_is_ended_and_its_neighbour_lives(
    project: Project, take: str, seed: str
) -> None:
    chance = random.Random(seed)
    limit = chance.randint(60, 120)
    alone = f"{take} {limit + chance.randint(20, 150)}"
    together = f"{take} {limit - 15} & {take} {limit - 15} & wait"
    project.publish(
        chance.choice([alone, together]),
        options={"memory": limit},
        beside={"neighbour": NEIGHBOUR},
    )

    ended = project.run()

    [run] = ended.stages["Build"].actions["package"]
    assert f"used more than {limit} MB of memory" in (run.error or "")
    [beside] = ended.stages["Build"].actions["neighbour"]
    assert beside.status is Status.SUCCEEDED
    assert ended.status is Status.FAILED
    project.audit()


@seeded()
def test_a_build_that_the_kernel_ends_is_suspected_to_be_out_of_memory(
    project: Project, take: str, group: Path, seed: str
) -> None:
    size = 70 + random.Random(seed).randint(0, 200)
    project.publish(
        f"echo $$ > {group / 'cgroup.procs'}",
        f"{take} {size}",
        beside={"neighbour": NEIGHBOUR},
    )

    ended = project.run()

    [run] = ended.stages["Build"].actions["package"]
    assert "SIGKILL (out of memory?)" in (run.error or "")
    [beside] = ended.stages["Build"].actions["neighbour"]
    assert beside.status is Status.SUCCEEDED
    project.audit()
