"""A power cut: what a disk holds when all that was not forced to it may be lost.

A program runs under strace, which notes each change of its files. Up to any moment, this
is replayed as a journaling file system may have left it: what was synced is there; of
what was not, some writes are, whole or torn; names come in order, up to some point after
the last sync.
"""

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (\d+)")
_PATH = re.compile(r"<((?:\\x[0-9a-f]{2}|[^>\\])*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
# A name, and the open folder that it is relative to, if to any.
_NAME = re.compile(r'(?:\w+<((?:\\x[0-9a-f]{2})*)>, )?"((?:\\x[0-9a-f]{2})*)"')
_NAMING = ("rename", "unlink", "mkdir", "rmdir", "symlink")
_CALLS = "openat,write,pwrite64,ftruncate,fsync,fdatasync,rmdir," + ",".join(
    f"{name},{name}at" for name in _NAMING if name != "rmdir"
)


@dataclass(eq=False)
class File:
    """What is on the disk for good, and what may be."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    size: int = 0

    def write(self, offset: int, data: bytes) -> None:
        self.pending.append((offset, data))
        self.size = max(self.size, offset + len(data))

    def sync(self) -> None:
        for offset, data in self.pending:
            _put(self.durable, offset, data)
        self.pending.clear()

    def truncate(self, size: int) -> None:
        """Make it shorter or longer; for good at once, which a journal may well do."""
        cut = [(offset, data[: max(0, size - offset)]) for offset, data in self.pending]
        self.pending = [(offset, data) for offset, data in cut if data]
        del self.durable[size:]
        self.size = size

    def after_the_cut(self, chance: random.Random) -> bytes:
        content = bytearray(self.durable)
        for offset, data in self.pending:
            match chance.choice(["lost", "torn", "there"]):
                case "there":
                    _put(content, offset, data)
                case "torn":
                    end = chance.randrange(len(data) + 1) // SECTOR * SECTOR
                    _put(content, offset, data[:end])
        return bytes(content)


@dataclass(frozen=True)
class Event:
    """One system call that changes a file, or a line that was printed."""

    call: str
    path: str
    data: bytes = b""
    offset: int | None = None


def record(program: str, root: Path, *arguments: str) -> list[Event]:
    """Run a Python program, and note what it did to the files below `root`."""
    log = root.with_name("strace.log")
    argv = ["strace", "-f", "-y", "-xx", "-s", "10000000", "-o", str(log)]
    argv += ["-e", f"trace={_CALLS}", "-e", "signal=none"]
    argv += [sys.executable, "-c", program, str(root), *arguments]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return [
        event
        for line in log.read_text().splitlines()
        for event in _events(line)
        if event.call == "printed" or Path(event.path).is_relative_to(root)
    ]


def _events(line: str) -> Iterator[Event]:
    match = _CALL.match(line)
    if match is None:
        return  # it failed, or is not a whole line
    call, arguments, result = match.groups()
    if call == "openat" or call.removesuffix("at") in _NAMING:
        yield from _naming(call.removesuffix("at"), arguments)
        return
    texts = [_bytes(text) for text in _TEXT.findall(arguments)]
    where = _PATH.search(arguments)
    path = _bytes(where[1]).decode() if where else ""
    match call:
        case "write" if arguments.startswith("1<"):
            yield Event("printed", "", texts[0])
        case "write":
            yield Event("write", path, texts[0][: int(result)])
        case "pwrite64":
            offset = int(arguments.rpartition(", ")[2], 0)
            yield Event("write", path, texts[0], offset)
        case "ftruncate":
            yield Event("truncate", path, b"", int(arguments.rpartition(", ")[2], 0))
        case "fsync" | "fdatasync":
            yield Event("sync", path)


def _naming(call: str, arguments: str) -> Iterator[Event]:
    """What happens to names: files are made, renamed, linked and removed."""
    names = [
        str(Path(_bytes(folder).decode()) / _bytes(name).decode())
        for folder, name in _NAME.findall(arguments)
    ]
    match call:
        case "open":
            if "O_CREAT" in arguments:
                yield Event("create", names[0])
        case "rename":
            yield Event("rename", names[1], names[0].encode())
        case "symlink":
            target, *_ = _TEXT.findall(arguments)
            yield Event("symlink", names[1], _bytes(target))
        case "unlink" if "AT_REMOVEDIR" in arguments:
            yield Event("rmdir", names[0])
        case _:
            yield Event(call, names[0])


def _bytes(escaped: str) -> bytes:
    if "\\x" not in escaped:
        return escaped.encode()
    return bytes.fromhex(escaped.replace("\\x", ""))


def cut(
    events: list[Event], root: Path, into: Path, chance: random.Random
) -> list[str]:
    """Cut the power at a random moment, and write what the disk holds then.

    Returns:
        The lines that the program had printed before.
    """
    moment = chance.randrange(len(events) + 1)
    files: dict[str, File] = {}
    names: list[tuple[str, str, File | bytes | None]] = []
    sure, printed = 0, b""
    for event in events[:moment]:
        match event.call:
            case "printed":
                printed += event.data
            case "create":
                if event.path not in files:
                    files[event.path] = File()
                    names.append(("create", event.path, files[event.path]))
            case "write":
                file = files[event.path]
                file.write(
                    file.size if event.offset is None else event.offset, event.data
                )
            case "truncate":
                files[event.path].truncate(event.offset or 0)
            case "sync":
                sure = len(names)
                if event.path in files:
                    files[event.path].sync()
            case "rename":
                names.append(("rename", event.path, event.data))
                _rename(files, event.data.decode(), event.path)
            case "unlink":
                files.pop(event.path, None)
                names.append(("unlink", event.path, None))
            case "mkdir" | "rmdir":
                names.append((event.call, event.path, None))
            case "symlink":
                names.append(("symlink", event.path, event.data))
    _restore(names[: chance.randint(sure, len(names))], root, into, chance)
    return printed.decode().splitlines()


def _rename(files: dict[str, File], old: str, new: str) -> None:
    for path in [*files]:
        if path == old or path.startswith(f"{old}/"):
            files[new + path.removeprefix(old)] = files.pop(path)


def _restore(
    names: list[tuple[str, str, File | bytes | None]],
    root: Path,
    into: Path,
    chance: random.Random,
) -> None:
    into.mkdir()
    for call, path, more in names:
        place = into / Path(path).relative_to(root)
        match call, more:
            case "mkdir", _:
                place.mkdir(exist_ok=True)
            case "rmdir", _:
                place.rmdir()
            case "create", File():
                place.write_bytes(more.after_the_cut(chance))
            case "rename", bytes():
                (into / Path(more.decode()).relative_to(root)).rename(place)
            case "symlink", bytes():
                place.symlink_to(more.decode())
            case "unlink", _:
                place.unlink(missing_ok=True)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data
