"""What was measured, as a table in a terminal or on a page."""

import statistics
from collections.abc import Callable, Iterator, Sequence

from benchmarks.bench import Goal, Measured
from benchmarks.harness import Sample, cpu, number, ratio, wall

Row = Sequence[str]
CASE = ("contender", "wall s", "CPU s", "wall, ratio", "CPU, ratio", "rounds")
GOALS = ("workload", "figure", "goal", "measured", "held")


def rows(measured: Measured) -> Iterator[Row]:
    """A case: a line for each contender, the quickest first."""
    results, base = measured.results, measured.case.base
    good = {name: [s for s in all_ if not s.failure] for name, all_ in results.items()}
    for name in sorted(good, key=lambda n: _median(good[n], wall)):
        samples, failed = good[name], len(results[name]) - len(good[name])
        more = [f"{failed} failed"] if failed else []
        if not samples:
            yield (name, "-", "-", "-", "-", " ".join(["0", *more]))
            continue
        yield (
            name,
            number(_median(samples, wall)),
            number(_median(samples, cpu)),
            *(str(ratio(results, name, base, of) or "-") for of in (wall, cpu)),
            " ".join([str(len(samples)), *more]),
        )


def goal_rows(all_: Sequence[Measured]) -> Iterator[Row]:
    """A line for each goal."""
    for measured in all_:
        for goal in measured.case.goals:
            found = goal.figure(measured.results)
            yield (
                measured.title.partition(":")[0],
                f"{measured.case.name}: {goal.what}",
                f"<= {number(goal.limit)}",
                str(found) if found else "not measured",
                "-" if not found else "yes" if found.median <= goal.limit else "**no**",
            )


def missed(all_: Sequence[Measured]) -> Iterator[tuple[Measured, Goal]]:
    """The goals that are not held."""
    for measured in all_:
        for goal in measured.case.goals:
            found = goal.figure(measured.results)
            if found and found.median > goal.limit:
                yield measured, goal


def text(head: Row, rows: Sequence[Row]) -> str:
    """A table for a terminal."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def markdown(head: Row, rows: Sequence[Row]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _median(samples: Sequence[Sample], figure: Callable[[Sample], float]) -> float:
    return statistics.median(map(figure, samples)) if samples else float("inf")
