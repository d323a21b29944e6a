"""Writes docs/reliability.md: each fault, what happens, its test and its last figures.

A row is a file `tests/faults/test_row_<number>_<name>.py`, whose docstring says it all:

    Row 7: a worker is lost (SIGKILL at a random moment).

    What happens then, in a paragraph.

    pytest tests/faults/test_row_07_worker_lost.py -k "seed17-"
"""

import ast
import os
import platform
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "tests" / "faults"
PAGE = ROOT / "docs" / "reliability.md"
NAMED = [*range(1, 5), *range(7, 11), 13, 16, *range(20, 31), 33, *range(36, 41)]
NAMED += [43, 44, 45, 47, 52, 53, 54, 55]
"""Rows of the fault matrix that must have a test."""
NEVER = "| never run |  |  |  |"
_BADNESS = ["passed", "skipped", "failed"]
_SEEDS = re.compile(r"seed(\d+)(?:to(\d+))?-")
_FILE = re.compile(r"test_row_(\d+)_\w+\.py")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        fault: What goes wrong.
        outcome: What happens here then.
    """

    number: int
    fault: str
    outcome: str
    path: Path

    @classmethod
    def of(cls, path: Path) -> "Row":
        """The row that a test file is about."""
        [number] = _FILE.findall(path.name)
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        first, outcome, *_ = [" ".join(part.split()) for part in said.split("\n\n")]
        start, _, fault = first.partition(": ")
        assert start == f"Row {int(number)}", f"{path.name} does not begin 'Row ...:'"
        return cls(int(number), fault.rstrip("."), outcome, path)

    def line(self, figures: str) -> str:
        name = self.path.name
        link = f"[{name}]({Path('..') / self.path.relative_to(ROOT)})"
        return f"| {self.number} | {self.fault} | {self.outcome} | {link} {figures}"


def rows() -> list[Row]:
    """All rows that have a test, in order."""
    files = [path for path in FAULTS.iterdir() if _FILE.fullmatch(path.name)]
    return sorted(map(Row.of, files), key=lambda row: (row.number, row.path.name))


def figures_in(page: str) -> dict[str, str]:
    """The last figures by test file, as a page has them."""
    found = re.findall(r"\[(test_row_\w+\.py)\]\(\S+\) (\|.*\|)$", page, re.MULTILINE)
    return dict(found)


def rendered(page: str, figures: dict[str, str]) -> str:
    """The page with the table made anew; rows without figures keep their last ones."""
    known = {**figures_in(page), **figures}
    lines = [(row.number, row.line(known.get(row.path.name, NEVER))) for row in rows()]
    table = "\n".join(line for _, line in sorted(lines, key=lambda line: line[0]))
    before, _, rest = page.partition("<!-- table -->")
    _, _, after = rest.partition("<!-- end -->")
    return f"{before}<!-- table -->\n{HEAD}{table}\n<!-- end -->{after}"


HEAD = """\
| row | fault | what happens here | test | passed | seconds | last run | on |
|---|---|---|---|---|---|---|---|
"""


@dataclass
class Tally:
    """What one file's tests came to; the tests of one seed count once.

    Attributes:
        ends: The worst outcome by seed, or by test where a test has no seed.
    """

    ends: dict[str, str] = field(default_factory=dict[str, str])
    seconds: float = 0

    def add(self, report: pytest.TestReport) -> None:
        self.seconds += report.duration
        for name in _names(report.nodeid):
            ends = self.ends.get(name, "passed"), report.outcome
            self.ends[name] = max(ends, key=_BADNESS.index)

    def figures(self) -> str:
        count = Counter(self.ends.values())
        done = count["passed"] + count["failed"]
        skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
        today = datetime.now(UTC).date()
        machine = f"{os.cpu_count()} cores, {platform.system()}"
        return (
            f"| {count['passed']}/{done}{skipped} | {self.seconds:.0f}"
            f" | {today} | {machine} |"
        )


def _names(node: str) -> list[str]:
    """What a test counts for: its seed, all seeds of its batch, or itself."""
    found = _SEEDS.search(node)
    if found is None:
        return [node]
    first, last = found.groups()
    return [f"seed{n}" for n in range(int(first), int(last or first) + 1)]


@dataclass
class FaultTable:
    """A pytest plugin that writes the page when the session ends."""

    page: Path = PAGE
    _tallies: dict[str, Tally] = field(
        default_factory=lambda: defaultdict[str, Tally](Tally)
    )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = Path(report.location[0]).name
        if _FILE.fullmatch(name):
            self._tallies[name].add(report)

    def pytest_sessionfinish(self) -> None:
        figures = {name: tally.figures() for name, tally in self._tallies.items()}
        self.page.write_text(rendered(self.page.read_text(), figures))
