"""Every named row of the fault matrix has a test, and docs/reliability.md tells of it."""

import pytest
from fault_table import NAMED, PAGE, Tally, figures_in, rendered, rows


@pytest.mark.parametrize("number", NAMED)
def test_every_named_row_has_a_test(number: int) -> None:
    assert number in {row.number for row in rows()}


def test_the_page_has_a_line_for_every_row() -> None:
    page = PAGE.read_text()

    for row in rows():
        assert (
            f"| {row.number} | {row.fault} | {row.outcome} | [{row.path.name}]" in page
        )


def test_the_page_is_what_is_generated() -> None:
    page = PAGE.read_text()

    assert rendered(page, {}) == page


def test_the_figures_of_other_rows_are_kept() -> None:
    first, second, *_ = [row.path.name for row in rows()]
    before = rendered(PAGE.read_text(), {first: "| 1 | 2 | 3 | 4 |"})

    after = rendered(before, {second: "| 5 | 6 | 7 | 8 |"})

    assert figures_in(after)[first] == "| 1 | 2 | 3 | 4 |"
    assert figures_in(after)[second] == "| 5 | 6 | 7 | 8 |"


def test_the_worst_end_of_a_seed_counts() -> None:
    tally = Tally()
    for outcome in ("passed", "failed", "passed"):
        report = pytest.TestReport(
            nodeid="test_row_01_x.py::test_it[seed7-]",
            location=("test_row_01_x.py", 1, "test_it"),
            keywords={},
            outcome=outcome,
            longrepr=None,
            when="call",
            duration=1,
        )
        tally.add(report)

    assert tally.figures().startswith("| 0/1 | 3 | ")


def test_every_seed_of_a_batch_counts() -> None:
    tally = Tally()
    tally.add(
        pytest.TestReport(
            nodeid="test_row_28_x.py::test_it[seed10to19-]",
            location=("test_row_28_x.py", 1, "test_it"),
            keywords={},
            outcome="passed",
            longrepr=None,
            when="call",
            duration=1,
        )
    )

    assert tally.figures().startswith("| 10/10 | 1 | ")
