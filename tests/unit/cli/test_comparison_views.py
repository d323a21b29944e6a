"""Reports side by side, and times as people type them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from prefect_delivery.cli.compare import comparison_lines
from prefect_delivery.cli.moments import moment
from prefect_delivery.cli.story import size
from prefect_delivery.comparison import compare
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import ActionRun, Execution, StageRun, Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)


def with_report(
    shop: Pipeline, number: int, failed: Sequence[str], listed: int
) -> Execution:
    report: dict[str, Any] = {
        "kind": "tests",
        "name": "report.xml",
        "passed": 5,
        "failed": len(failed),
        "skipped": 0,
        "coverage": None,
        "failures": [{"name": name} for name in failed[:listed]],
    }
    run = ActionRun(
        attempt=1, status=Status.SUCCEEDED, started=NOW, ended=NOW, reports=[report]
    )
    return Execution(
        id=str(number) * 32,
        pipeline="shop",
        number=number,
        definition=shop,
        status=Status.SUCCEEDED,
        started=NOW,
        ended=NOW,
        stages={"Build": StageRun(status=Status.SUCCEEDED, actions={"unit": (run,)})},
    )


def told(shop: Pipeline, *failed: Sequence[str], listed: int = 50) -> list[str]:
    before, after = (
        with_report(shop, number, names, listed)
        for number, names in enumerate(failed, 1)
    )
    with Ledger.open() as ledger:
        found = [*comparison_lines(compare(ledger, before, after, NOW))]
    return [line.strip() for line in found[found.index("reports") + 1 :]]


def test_tests_that_broke_and_that_were_mended_are_named(
    shop: Pipeline, home: Path
) -> None:
    assert told(shop, ["a", "b"], ["b", "c"]) == [
        "Build / unit: report.xml: 5 passed, 2 failed → 5 passed, 2 failed",
        "fails now: c",
        "passes again: a",
    ]


def test_what_a_shortened_list_of_failures_cannot_tell_is_not_said(
    shop: Pipeline, home: Path
) -> None:
    assert told(shop, ["a", "b"], ["b", "c"], listed=1) == [
        "Build / unit: report.xml: 5 passed, 2 failed → 5 passed, 2 failed"
    ]


@pytest.mark.parametrize(
    ("words", "ago"),
    [("30m", timedelta(minutes=30)), ("7d", timedelta(days=7)), ("2w", timedelta(14))],
)
def test_so_long_ago(words: str, ago: timedelta) -> None:
    assert moment(words, NOW) == NOW - ago


def test_a_time_with_a_zone_is_that_time() -> None:
    assert moment("2026-03-29T13:00+02:00", NOW) == datetime(
        2026, 3, 29, 11, tzinfo=UTC
    )


@pytest.mark.parametrize("words", ["", "7", "d", "yesterday", "1y"])
def test_what_is_no_time_is_refused(words: str) -> None:
    with pytest.raises(Refused, match="is no time"):
        moment(words, NOW)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (-999, "-999 B"), (1500, "1.5 kB"), (2_500_000_000_000, "2500.0 GB")],
)
def test_sizes_have_a_unit(count: int, words: str) -> None:
    assert size(count) == words
