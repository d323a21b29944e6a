"""Artifacts: a build's workspace into the store, and out of it into another."""

import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench, Case, Goal, over
from benchmarks.harness import Contender, Outcome, Ratio, Results, cpu, of, timed, wall
from benchmarks.lab import call, clean

TITLE = "W5: artifacts"
ABOUT = (
    "5,000 small files and one large one, of some 200 MB, are kept and written somewhere"
    " else; then the same with one percent of the files changed. `cp -r` copies them into"
    " a folder and from there into another. Local disk only."
)
FILES = 5_000
CHANGED = 100
"""One file in so many."""
LARGE = 60
"""Megabytes of the large file."""
OURS, COPY = "deliver, artifact store", "cp -r"
KEEP = """
import sys
from pathlib import Path
from prefect_delivery.artifacts import Artifact
Artifact.of(Path(sys.argv[1])).unpack(Path(sys.argv[2]))
"""
Way = Callable[[Path, Path, int], None]
"""Keeps a tree in a folder, and writes it out there, for the so many-th time."""


def cases(bench: Bench) -> list[Case]:
    folder = bench.lab.folder / "artifacts"
    trees = (folder / "first", folder / "second")
    files, large = (FILES, LARGE) if bench.full else (FILES // 5, LARGE // 5)
    _write(*trees, files, large)
    ways: dict[str, Way] = {OURS: _ours, COPY: _copy, "tar": _tar, "zip": _zip}
    first, second = (
        [Contender(n, partial(keep, way, folder, trees)) for n, way in ways.items()]
        for keep in (_keep, _keep_again)
    )
    rounds, seconds = (5, 60) if bench.full else (2, 25)
    goals = (
        Goal("wall", 0.6, over(OURS, COPY, wall)),
        Goal("CPU", 0.85, over(OURS, COPY, cpu)),
    )
    goals_again = (
        Goal("CPU", 0.25, over(OURS, COPY, cpu)),
        Goal("new bytes, to all bytes", 0.04, _new_bytes),
    )
    return [
        Case("first run", first, rounds, seconds, goals, COPY),
        Case("1 % changed", second, rounds, seconds, goals_again, COPY),
    ]


def _keep(way: Way, folder: Path, trees: tuple[Path, Path]) -> Outcome:
    place = _empty(folder)
    return timed(lambda: way(trees[0], place, 1))


def _keep_again(way: Way, folder: Path, trees: tuple[Path, Path]) -> Outcome:
    place = _empty(folder)
    way(trees[0], place, 1)
    before = _size(place / "kept")
    outcome = timed(lambda: way(trees[1], place, 2))
    new = _size(place / "kept") - before
    return replace(outcome, more={"new": new / _size(trees[1])})


def _empty(folder: Path) -> Path:
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    (place / "kept").mkdir(parents=True)
    return place


def _ours(tree: Path, place: Path, number: int) -> None:
    store = {"PREFECT_DELIVERY_ARTIFACT_STORE": str(place / "kept")}
    home = {"PREFECT_DELIVERY_HOME": str(place / "home")}
    out = str(place / f"out{number}")
    command = (sys.executable, "-c", KEEP, str(tree), out)
    call(*command, environment={**clean(), **store, **home})


def _copy(tree: Path, place: Path, number: int) -> None:
    kept = place / "kept" / str(number)
    _shell('cp -r "$1" "$2"; cp -r "$2" "$3"', tree, kept, place / f"out{number}")


def _tar(tree: Path, place: Path, number: int) -> None:
    kept = place / "kept" / f"{number}.tar"
    script = 'tar -C "$1" -cf "$2" .; mkdir "$3"; tar -C "$3" -xf "$2"'
    _shell(script, tree, kept, place / f"out{number}")


def _zip(tree: Path, place: Path, number: int) -> None:
    kept, out = place / "kept" / f"{number}.zip", place / f"out{number}"
    program = f'"{sys.executable}" -m zipfile'
    script = f'cd "$1"; {program} -c "$2" *; {program} -e "$2" "$3"'
    _shell(script, tree, kept, out)


def _shell(script: str, *paths: Path) -> None:
    words = [str(path) for path in paths]
    call("sh", "-e", "-c", script, "sh", *words, environment=clean())


def _new_bytes(results: Results) -> Ratio | None:
    found = [s.more["new"] for s in results.get(OURS, []) if not s.failure]
    return of(found) if found else None


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _write(first: Path, second: Path, files: int, large: int) -> None:
    """Two trees of which one file in a hundred differs, and seven bytes of the large."""
    dice = random.Random(7)  # noqa: S311 - nothing secret
    words = [dice.randbytes(5).hex().encode() for _ in range(3000)]
    text = b" ".join(dice.choices(words, k=400_000))
    noise = dice.randbytes(len(text))
    for number in range(files):
        size = min(int(dice.lognormvariate(9.6, 1.1)) + 1, 1 << 20)
        body = noise if number % 3 == 0 else text
        start = dice.randrange(len(body) - size)
        path = first / f"d{number % 50}" / f"e{number % 7}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d\n" % number + body[start : start + size])
    with (first / "large").open("wb") as file:
        for _ in range(large):
            start = dice.randrange(len(noise) - 2**20)
            file.write(noise[start : start + 2**20])
    shutil.copytree(first, second)
    for number in range(0, files, CHANGED):
        path = second / f"d{number % 50}" / f"e{number % 7}" / f"f{number}"
        with path.open("ab") as file:
            file.write(b"changed\n")
    with (second / "large").open("r+b") as file:
        file.seek(large * 2**19)
        file.write(b"changed")
