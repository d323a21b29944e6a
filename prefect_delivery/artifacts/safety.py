"""Which trees may be stored and unpacked: those that stay inside their folder.

Zip slip, links that lead outside, and trees made to fill a disk are refused before
anything is written (Snyk 2018; CVE-2007-4559; CVE-2025-4517).
"""

from collections.abc import Mapping, Sequence

from prefect_delivery.artifacts.manifest import Entry, File, Folder, Link, order, shown
from prefect_delivery.errors import ArtifactError

MAX_ENTRIES = 1_000_000
MAX_BYTES = 100 << 30
MAX_DEPTH = 200
_MAX_NAME = 255
_MAX_PATH = 4095
_MAX_HOPS = 40


def check(tree: Sequence[Entry]) -> None:
    """Refuse a tree that cannot be unpacked safely. `tree` is in manifest order.

    Raises:
        ArtifactError: A name is not a plain one, a path comes twice or without its
            folder, a link is absolute, leads outside or nowhere, or the tree has more
            than a million entries, 100 GiB or 200 levels.
    """
    size = sum(entry.size for entry in tree if isinstance(entry, File))
    if len(tree) > MAX_ENTRIES or size > MAX_BYTES:
        raise ArtifactError(
            f"{len(tree)} entries with {size} bytes are too many for an artifact; "
            f"at most {MAX_ENTRIES} entries and {MAX_BYTES} bytes"
        )
    _check_paths(tree)
    links = {entry.path: entry.target for entry in tree if isinstance(entry, Link)}
    for link in links:
        _check_link(link, links)


def _check_paths(tree: Sequence[Entry]) -> None:
    folders = {""}
    last: list[str] = []
    for entry in tree:
        parts = order(entry)
        if not _is_plain(entry.path, parts):
            raise ArtifactError(f"unsafe path {shown(entry.path)}")
        if parts <= last:
            raise ArtifactError(f"{shown(entry.path)} comes twice or out of order")
        if entry.path.rpartition("/")[0] not in folders:
            raise ArtifactError(f"{shown(entry.path)} is not in a folder of the tree")
        if isinstance(entry, Folder):
            folders.add(entry.path)
        last = parts


def _is_plain(path: str, parts: list[str]) -> bool:
    return (
        _encodable(path) <= _MAX_PATH
        and len(parts) <= MAX_DEPTH
        and "\0" not in path
        and not any(part in ("", ".", "..") for part in parts)
        and max(map(_encodable, parts)) <= _MAX_NAME
    )


def _encodable(text: str) -> int:
    """Bytes of `text` as a name; more than any limit when it cannot be one."""
    try:
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return _MAX_PATH + 1


def _check_link(path: str, links: Mapping[str, str]) -> None:
    """Follow a link as the kernel would, through the links of the same tree."""
    here = path.split("/")[:-1]
    todo = _steps(path, links[path])
    hops = 0
    while todo:
        match todo.pop():
            case "..":
                if not here:
                    raise ArtifactError(_leads(path, links[path], "outside the tree"))
                here.pop()
            case step:
                here.append(step)
                inner = "/".join(here)
                if inner in links:
                    hops += 1
                    here.pop()
                    todo += _steps(path, links[inner])
        if hops > _MAX_HOPS:
            raise ArtifactError(_leads(path, links[path], "in a circle"))


def _steps(path: str, target: str) -> list[str]:
    """The steps to a target, the first one last."""
    if not target or "\0" in target or _encodable(target) > _MAX_PATH:
        raise ArtifactError(f"unsafe target of the link {shown(path)}")
    if target.startswith("/"):
        raise ArtifactError(_leads(path, target, "to an absolute path"))
    return [step for step in reversed(target.split("/")) if step not in ("", ".")]


def _leads(path: str, target: str, where: str) -> str:
    return (
        f"the link {shown(path)} to {shown(target)} leads {where}; only relative links "
        "within the tree can be kept"
    )
