"""Where definitions come from: files, folders, repositories."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prefect_delivery.codepipeline.reading import read_pipeline
from prefect_delivery.definition import Pipeline
from prefect_delivery.errors import Refused
from prefect_delivery.repositories import identity_of

NAMES = {"delivery.yaml", "delivery.yml"}
ENDINGS = (".delivery.yaml", ".delivery.yml")
SKIPPED = {"node_modules", "__pycache__"}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a file stands.

    Attributes:
        place: The repository, by its identity; the folder where there is none.
        file: Its path in there.
    """

    place: str
    file: str

    def holds(self, other: "Origin") -> bool:
        """Whether another file is this one, or in this folder."""
        if self.place != other.place:
            return False
        inside = self.file in {"", "."} or other.file.startswith(f"{self.file}/")
        return inside or self.file == other.file


def definitions_in(places: Iterable[Path]) -> dict[Path, Pipeline]:
    """The definitions in files and folders, by file.

    In a folder, those are `delivery.yaml` and `*.delivery.yaml`, at any depth.

    Raises:
        DefinitionError: One is written wrongly.
        Refused: A folder has none, or two have the same name.
    """
    found = {file: read_pipeline(file) for file in _files(places)}
    names: dict[str, Path] = {}
    for file, definition in found.items():
        if other := names.get(definition.pipeline):
            raise Refused(
                f"{other} and {file} both define the pipeline '{definition.pipeline}'",
                hint="give one of them another name",
            )
        names[definition.pipeline] = file
    return found


def origin_of(path: Path) -> Origin:
    """Where a file or folder stands; a repository is known by what it is cloned from."""
    path = path.resolve()
    folder = path if path.is_dir() else path.parent
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None:
        return Origin(place="/", file=str(path).strip("/"))
    remote = _git(folder, "config", "--get", "remote.origin.url")
    inside = os.path.relpath(path, Path(top).resolve())
    return Origin(place=identity_of(remote or top), file=inside)


def _files(places: Iterable[Path]) -> Iterator[Path]:
    seen = set[Path]()
    for place in places:
        files = [place] if not place.is_dir() else sorted(_inside(place))
        if not files:
            raise Refused(
                f"no definition in {place}",
                hint="name the files: deliver deploy web.yaml api.yaml",
            )
        for file in files:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _inside(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [
            name for name in folders if not name.startswith(".") and name not in SKIPPED
        ]
        yield from (
            Path(parent) / name
            for name in files
            if name in NAMES or name.endswith(ENDINGS)
        )


def _git(folder: Path, *arguments: str) -> str | None:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None if done.returncode == 0 else None
