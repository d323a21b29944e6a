"""Files on a host of a fleet: where they go, who may do what with them.

Travels to the host with `fleet_agent`, which alone imports it there.
"""

from __future__ import annotations

import fnmatch
import grp
import json
import os
import pwd
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any


class Failed(Exception):
    """The host could not do it; the text says why."""


def wanted(bundle: Path, entries: list[dict[str, str]]) -> dict[str, Path | None]:
    """Where each file goes, and where it comes from; None for an empty folder."""
    found: dict[str, Path | None] = {}

    def add(to: Path, source: Path | None) -> None:
        name = os.path.normpath(to)
        if source and name in found:
            raise Failed(f"two files of the bundle go to {name}")
        found[name] = source

    for entry in entries:
        source = bundle / entry["source"].lstrip("/")
        destination = Path(entry["destination"])
        if source.is_dir():
            add_tree(source, destination, add)
        elif os.path.lexists(source):
            add(destination / source.name, source)
        else:
            raise Failed(f"{entry['source']} is not in the bundle")
    return found


def add_tree(source: Path, destination: Path, add: Any) -> None:
    for folder, names, files in os.walk(source):
        to = destination / Path(folder).relative_to(source)
        links = [name for name in names if (Path(folder) / name).is_symlink()]
        for name in [*files, *links]:
            add(to / name, Path(folder) / name)
        if not names and not files:
            add(to, None)


def copy(source: Path, to: Path) -> None:
    half = to.with_name(f".{uuid.uuid4().hex}")
    try:
        shutil.copy2(source, half, follow_symlinks=False)
        half.replace(to)
    finally:
        half.unlink(missing_ok=True)


def permit(permission: dict[str, Any], files: list[str], folders: list[str]) -> None:
    """Set owner, group, mode, lists and context of what was just installed."""
    targets = files if "file" in permission["types"] else []
    targets = [*targets, *(folders if "directory" in permission["types"] else [])]
    for path in targets:
        if not matches(permission, path):
            continue
        own(path, permission["owner"], permission["group"])
        if permission["mode"] and not Path(path).is_symlink():
            Path(path).chmod(int(permission["mode"], 8))
        if permission["acls"]:
            call(["setfacl", "-m", ",".join(permission["acls"]), "--", path])
        if context := permission["context"]:
            letters = {"user": "-u", "type": "-t", "range": "-l"}
            given = [word for key in context for word in (letters[key], context[key])]
            call(["chcon", *given, "--", path])


def own(path: str, owner: str | None, group: str | None) -> None:
    try:
        uid = pwd.getpwnam(owner).pw_uid if owner else -1
        gid = grp.getgrnam(group).gr_gid if group else -1
    except KeyError as error:
        raise Failed(f"permissions of {path}: {error.args[0]}") from None
    if owner or group:
        # A link is changed itself: what it leads to may be anybody's.
        os.chown(path, uid, gid, follow_symlinks=False)


def matches(permission: dict[str, Any], path: str) -> bool:
    """Whether a permission is meant for a path: its object, or matching below it."""
    base = os.path.normpath(permission["object"])
    if path == base:
        return True
    prefix = base.rstrip("/") + "/"
    if not path.startswith(prefix):
        return False
    name = path[len(prefix) :]
    chosen = permission["pattern"] == "**" or matches_one(name, permission["pattern"])
    return chosen and not any(matches_one(name, each) for each in permission["exclude"])


def matches_one(name: str, pattern: str) -> bool:
    """A pattern stands for names in one folder: its stars do not cross a slash."""
    return name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)


def call(argv: list[str]) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Failed(f"{argv[0]} is not installed") from error
    if done.returncode:
        raise Failed(f"{argv[0]}: {done.stderr.strip()}")


def sync_tree(folder: Path) -> None:
    for where, _, names in os.walk(folder):
        for path in [Path(where), *(Path(where) / name for name in names)]:
            if not path.is_symlink():
                handle = os.open(path, os.O_RDONLY)
                os.fsync(handle)
                os.close(handle)


def read(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return default


def write(path: Path, data: Any) -> None:
    """Replace a file as a whole, so that a crash leaves the old one or the new one."""
    half = path.with_name(path.name + ".new")
    with half.open("w") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
