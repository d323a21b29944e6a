"""Finds the files of a build's artifacts and reports, as CodeBuild's patterns say."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from wcmatch import glob

from prefect_delivery.actions import Report
from prefect_delivery.buildspec.models import Files, ReportGroup
from prefect_delivery.errors import ActionFailed
from prefect_delivery.report_formats import named, read_report

_FLAGS = glob.GLOBSTAR | glob.DOTGLOB | glob.CASE
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", re.ASCII)

MOST_REPORTS = 500
"""Files of one report group that are read."""


def stage(
    files: Files,
    source: Path,
    target: Path,
    environment: Mapping[str, str],
    log: Callable[[str], None],
) -> None:
    """Copy the files of an artifact into `target`.

    Raises:
        ActionFailed: Nothing matches, or a pattern leads out of the source.
    """
    target.mkdir(parents=True)
    count = 0
    for base in _bases(files.base, source, environment):
        unwanted = set(_matches(files.exclude, base, source, environment))
        for path in _matches(files.files, base, source, environment):
            if path in unwanted:
                continue
            if not path.resolve().is_relative_to(source.resolve()):
                log(f"{path.name} is a link out of the source and is left out")
                continue
            place = path.name if files.flat else path.relative_to(base)
            _copy(path, target / place, links=files.symlinks)
            count += 1
    if not count and files.files:
        patterns = ", ".join(files.files)
        raise ActionFailed(f"no file matches the artifact's paths: {patterns}")


def read_group(
    group: ReportGroup,
    source: Path,
    environment: Mapping[str, str],
    log: Callable[[str], None],
) -> Iterator[Report]:
    """The reports of a group; those that are no reports are told and passed over."""
    try:
        bases = _bases(group.base, source, environment)
        paths = [
            p
            for base in bases
            for p in _matches(group.files, base, source, environment)
        ]
    except ActionFailed as error:
        log(f"report group {group.name}: {error.message}")
        return
    if not paths:
        log(f"report group {group.name}: no file matches {', '.join(group.files)}")
    for path in paths[:MOST_REPORTS]:
        if not path.resolve().is_relative_to(source.resolve()):
            log(f"report group {group.name}: {path.name} is a link out of the source")
            continue
        try:
            yield named(read_report(path, group.format), group.name)
        except ActionFailed as error:
            log(f"report group {group.name}: {error.message}")


def _bases(
    pattern: str | None, source: Path, environment: Mapping[str, str]
) -> list[Path]:
    if pattern is None:
        return [source]
    wanted = _relative(pattern, source, environment)
    found = [source / name for name in sorted(_glob(wanted or ".", source))]
    folders = [path for path in found if path.is_dir()]
    if not folders:
        raise ActionFailed(f"no folder matches the base directory '{pattern}'")
    for folder in folders:
        if not folder.resolve().is_relative_to(source.resolve()):
            raise ActionFailed(f"base directory '{pattern}' leads out of the source")
    return folders


def _matches(
    patterns: Sequence[str], base: Path, source: Path, environment: Mapping[str, str]
) -> list[Path]:
    found: dict[Path, None] = {}
    for pattern in patterns:
        wanted = _relative(pattern, source, environment, base=base)
        for name in sorted(_glob(wanted or ".", base)):
            path = base / name
            if path.is_dir() and not path.is_symlink():
                if not any(char in wanted for char in "*?["):
                    inner = glob.glob("**/*", root_dir=path, flags=_FLAGS | glob.NODIR)
                    found |= dict.fromkeys(path / one for one in sorted(inner))
            elif path.is_file():
                found[path] = None
    return list(found)


def _relative(
    pattern: str,
    source: Path,
    environment: Mapping[str, str],
    base: Path | None = None,
) -> str:
    """The pattern with variables filled in, relative to where it is looked for."""
    text = _VARIABLE.sub(
        lambda match: environment.get(match[1] or match[2], ""), pattern
    )
    if text.startswith("/"):
        start = base or source
        if text != str(start) and not text.startswith(f"{start}/"):
            raise ActionFailed(f"path '{pattern}' leads out of the source")
        text = text[len(str(start)) :].lstrip("/")
    if ".." in text.split("/"):
        raise ActionFailed(f"path '{pattern}' leads out of the source")
    return text.removeprefix("./")


def _glob(pattern: str, folder: Path) -> list[str]:
    return glob.glob(pattern, root_dir=folder, flags=_FLAGS)


def _copy(path: Path, place: Path, *, links: bool) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if links and path.is_symlink():
        place.unlink(missing_ok=True)
        place.symlink_to(path.readlink())
    else:
        shutil.copy2(path, place)
