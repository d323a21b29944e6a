"""The page docs/performance.md, written from a run."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.bench import Bench, Measured
from benchmarks.harness import load
from benchmarks.table import CASE, GOALS, goal_rows, markdown, missed, rows

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PACKAGES = ("prefect-delivery", "prefect", "sqlalchemy", "pydantic")
HEAD = """# Performance

Measured on {date} with `make {command}`, which writes this page: {machine}.

Each figure is the median of ratios of two that did the same work in the same round, one \
after the other, with the least and the greatest in parentheses. CPU is user and system \
time, that of servers and workers included, until they are quiet again. Times depend on \
the machine and say little; they are shown, and nothing depends on them.
"""
HELD = "All goals hold."
NOT_MEASURED = "Not measured"
HOW = """## Measure it yourself

```console
$ make bench         # under five minutes
$ make bench-full    # under 25 minutes; writes this page
$ .venv/bin/python -m benchmarks w2 w8
```

Peers are installed under `~/.cache/prefect-delivery-bench` at the first run.
"""


def write(page: Path, measured: Sequence[Measured], bench: Bench) -> None:
    """Write the page."""
    page.write_text("\n".join(_sections(measured, bench)))


def _sections(measured: Sequence[Measured], bench: Bench) -> list[str]:
    date = datetime.now(UTC).date().isoformat()
    command = "bench-full" if bench.full else "bench"
    head = HEAD.format(date=date, command=command, machine=machine())
    sections = [head, "## Goals\n", markdown(GOALS, list(goal_rows(measured))), ""]
    reasons = [
        f"- {each.title.partition(':')[0]}, {each.case.name}, {goal.what}:"
        f" {goal.why or 'not explained yet'}"
        for each, goal in missed(measured)
    ]
    sections += ["What is missed, and why:\n", *reasons, ""] if reasons else [HELD, ""]
    title = ""
    for each in measured:
        if each.title != title:
            title = each.title
            sections += [f"## {title}\n", each.about, ""]
        sections += [f"### {each.case.name}\n"]
        sections += [f"Ratios to {each.case.base}.\n"]
        sections += [markdown(CASE, list(rows(each))), ""]
    if bench.missing:
        lines = [f"- {name}: {reason}" for name, reason in bench.missing.items()]
        sections += [f"## {NOT_MEASURED}\n", *lines, ""]
    return [*sections, HOW]


def machine() -> str:
    """What it was measured on."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB,"
        f" Linux {platform.release().partition('-')[0]},"
        f" Python {platform.python_version()}, {versions},"
        f" commit {_commit()}, load at the end {load():.1f}"
    )


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=PAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
