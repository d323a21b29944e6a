"""A command that prints without end costs no memory."""

import subprocess
import sys

PROGRAM = """
import resource
from pathlib import Path
from prefect_delivery.process import clean_environment, run_process
lines = []
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run_process(
    ["sh", "-c", "head -c 1000000000 /dev/zero | tr '\\\\0' x; echo; echo end"],
    cwd=Path("/"), env=clean_environment(), output=2000000000 if {shown} else 1000,
    on_line=lambda line: lines.append(len(line)),
)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(lines), (after - before) // 1024)
"""


def run(shown: bool) -> tuple[int, int]:
    """Characters handed on and megabytes of memory used, for 1 GB on one line."""
    program = PROGRAM.replace("{shown}", str(shown))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    characters, memory = map(int, done.stdout.split())
    return characters, memory


def test_a_gigabyte_without_an_end_of_line_takes_little_memory() -> None:
    characters, memory = run(shown=True)

    assert characters == 1_000_000_003
    assert memory < 32


def test_a_gigabyte_that_is_not_shown_takes_little_memory() -> None:
    characters, memory = run(shown=False)

    assert characters < 1_100
    assert memory < 32
