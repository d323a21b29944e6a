"""What a host of a fleet does: keeps revisions, runs lifecycle events, says how it is.

A program of its own. It travels over the connection with each request, as does
`fleet_files`, so a host needs nothing but Python 3.9 and its standard library. The request comes as a line of JSON on
standard input, answers go as lines of JSON to standard output. Standard input stays open
as long as somebody wants the work done: its end ends the work.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from prefect_delivery.blocks.fleet_files import (
    Failed,
    copy,
    permit,
    read,
    sync_tree,
    wanted,
    write,
)

OF_PREVIOUS = ("BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop")
"""Events whose scripts are those of the revision that succeeded last."""
EVENT_LIMIT = 3600
PATIENCE = 60
GRACE = 5
LOGS = 20
REMEMBERED = 100


class Lost(Exception):
    """Somebody with a higher fencing token has been here."""


def main() -> None:
    stream = sys.stdin.buffer
    request = json.loads(stream.readline())
    agent = Agent(Path(request["root"]))
    try:
        if request["do"] == "look":
            say(state=agent.look())
            return
        half = agent.receive(stream, request["size"]) if "size" in request else None
        threading.Thread(target=agent.watch, daemon=True).start()
        signal.signal(signal.SIGTERM, lambda *_: agent.end())
        with agent.held(request["fence"]):
            getattr(agent, request["do"])(half, request)
        say(state=agent.look())
    except Lost as error:
        say(lost=str(error))
    except (Failed, OSError, tarfile.TarError, subprocess.SubprocessError) as error:
        say(failed=str(error) or type(error).__name__)


def say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


class Agent:
    """The folder of one environment on this host."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.revisions = root / "revisions"
        self.half = root / "half"
        self.script: subprocess.Popen[bytes] | None = None

    # What it knows

    def look(self) -> dict[str, Any]:
        """What runs here: `current`, and `deploying` from a first event to success."""
        state: dict[str, Any] = {"current": None, "deploying": None, "failed": None}
        state.update({"good": [], **read(self.root / "state.json", {})})
        found = sorted(path.name for path in self.revisions.glob("*"))
        return {**state, "revisions": found}

    def change(self, **news: Any) -> None:
        state = {**self.look(), **news}
        del state["revisions"]
        write(self.root / "state.json", state)

    # The fence and the end

    @contextlib.contextmanager
    def held(self, token: int) -> Any:
        """Keep everybody else from changing this folder; the higher token wins."""
        self.root.mkdir(parents=True, exist_ok=True)
        file = os.open(self.root / ".fence", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + PATIENCE
        terminated = 0.0
        while not locked(file):
            seen, pid, start = numbers(os.pread(file, 100, 0))
            if seen > token:
                raise Lost(f"{self.root} was changed under lease {seen}, not {token}")
            # Whoever holds an older token, or lost the connection, may not go on.
            if pid and start_of(pid) == start:
                hard = terminated and time.monotonic() > terminated + GRACE / 2
                os.kill(pid, signal.SIGKILL if hard else signal.SIGTERM)
                terminated = terminated or time.monotonic()
            if time.monotonic() > deadline:
                raise Failed(f"process {pid} is still changing {self.root}")
            time.sleep(0.05)
        seen, _, _ = numbers(os.pread(file, 100, 0))
        if seen > token:
            raise Lost(f"{self.root} was changed under lease {seen}, not {token}")
        own = f"{token:020} {os.getpid():020} {start_of(os.getpid()):020}\n"
        os.pwrite(file, own.encode(), 0)
        self.end_left_script()
        try:
            yield
        finally:
            os.close(file)

    def end_left_script(self) -> None:
        """End the script of an agent that was killed."""
        pid, start = read(self.root / "running.json", [0, 0])
        if pid and start_of(pid) == start:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        (self.root / "running.json").unlink(missing_ok=True)

    def watch(self) -> None:
        """End with whoever wants the work done."""
        # Not by `sys.stdin`, whose lock would hold up the end of the program.
        os.read(0, 1)
        self.end()

    def end(self) -> NoReturn:
        if self.script and self.script.poll() is None:
            os.killpg(self.script.pid, signal.SIGKILL)
        os._exit(3)

    # What it does

    def receive(self, stream: BinaryIO, size: int) -> Path:
        """Unpack what comes next; nobody sees it yet, so it needs no fence."""
        half = self.half / uuid.uuid4().hex
        (half / "bundle").mkdir(parents=True)
        safe: dict[str, Any] = (
            {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
        )
        part: Any = Part(stream, size)
        with tarfile.open(fileobj=part, mode="r|") as tar:
            # The artifact store has refused names that lead out of the bundle.
            tar.extractall(half / "bundle", **safe)  # noqa: S202
        part.drain()
        return half

    def bring(self, half: Path, request: dict[str, Any]) -> None:
        """Keep what was received as a revision, whole or not at all."""
        write(half / "appspec.json", request["appspec"])
        self.revisions.mkdir(exist_ok=True)
        if not (self.revisions / request["digest"]).is_dir():
            # A power cut must not leave the final name to empty files.
            sync_tree(half)
            half.rename(self.revisions / request["digest"])
        shutil.rmtree(self.half, ignore_errors=True)

    def deploy(self, _half: None, request: dict[str, Any]) -> None:
        """Go through some lifecycle events."""
        digest = request["digest"]
        self.change(deploying=digest, failed=None)
        for event in request["events"]:
            try:
                if event == "Install":
                    self.install(digest, request["exists"])
                else:
                    self.run_event(event, digest, request)
            except (Failed, OSError) as error:
                self.change(failed=f"{event}: {error}")
                raise Failed(f"{event}: {error}") from error
        if request["last"]:
            self.change(current=digest, deploying=None, failed=None)
            os.utime(self.revisions / digest)

    def run_event(self, event: str, digest: str, request: dict[str, Any]) -> None:
        of = self.look()["current"] if event in OF_PREVIOUS else digest
        if of is None or not (self.revisions / of).is_dir():
            return
        scripts = self.appspec(of)["hooks"].get(event, [])
        deadline = time.monotonic() + EVENT_LIMIT
        for script in scripts:
            variables = {**request["variables"], "LIFECYCLE_EVENT": event}
            try:
                self.run(script, of, variables, request["log"], deadline)
            except Failed as error:
                if event != "ApplicationStop" or not request["ignore_stop"]:
                    raise
                say(log=f"{event}: {error}; ignored")

    def discard(self, _half: None, request: dict[str, Any]) -> None:
        """Take a revision off: what it installed, and its folder."""
        digest = request["digest"]
        state = self.look()
        if state["current"] == digest:
            self.run_event("ApplicationStop", digest, request)
        if state["current"] == digest or state["deploying"] == digest:
            if read(self.root / "installed.json", {}).get("digest") == digest:
                self.uninstall()
            current = None if state["current"] == digest else state["current"]
            # A host that could not go back stays in need of a deployment.
            pending = digest if current else None
            self.change(current=current, deploying=pending)
        self.drop(digest)

    def tidy(self, _half: None, request: dict[str, Any]) -> None:
        """Note that the revision is good, and remove those older than `keep` others."""
        state = self.look()
        current = state["current"]
        if current == request["digest"]:
            good = [each for each in state["good"] if each != current]
            self.change(good=[*good, current][-REMEMBERED:])
        known = [each for each in self.revisions.glob("*") if each.name != current]
        known.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for revision in known[request["keep"] :]:
            self.drop(revision.name)
        logs = sorted((self.root / "logs").glob("*"), key=lambda p: p.stat().st_mtime)
        for log in logs[:-LOGS]:
            log.unlink()

    def drop(self, digest: str) -> None:
        self.half.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (self.revisions / digest).rename(self.half / uuid.uuid4().hex)
        shutil.rmtree(self.half, ignore_errors=True)

    def appspec(self, digest: str) -> Any:
        return read(self.revisions / digest / "appspec.json", {})

    # Scripts

    def run(
        self,
        script: dict[str, Any],
        digest: str,
        variables: dict[str, str],
        log: str,
        deadline: float,
    ) -> None:
        """Run a script; what it leaves running in the background is let alone."""
        bundle = self.revisions / digest / "bundle"
        place = bundle / script["location"].lstrip("/")
        if not place.is_file():
            raise Failed(f"{script['location']} is not in the bundle")
        if not os.access(place, os.X_OK):
            place.chmod(place.stat().st_mode | 0o755)
        until = min(deadline, time.monotonic() + script["timeout"])
        path = self.root / "logs" / log
        path.parent.mkdir(exist_ok=True, mode=0o700)
        # A file, not a pipe: a service that was started here must not hold us up.
        with path.open("ab") as out, path.open("rb") as seen:
            seen.seek(0, os.SEEK_END)
            self.script = start(place, bundle, script["runas"], variables, out)
            pid = self.script.pid
            write(self.root / "running.json", [pid, start_of(pid)])
            code = None
            while code is None and time.monotonic() < until:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = self.script.wait(0.1)
                for line in seen.readlines():
                    text = line.decode(errors="replace").rstrip("\n")
                    say(log=f"{variables['LIFECYCLE_EVENT']}: {text[:2000]}")
        if code is None:
            os.killpg(pid, signal.SIGKILL)
            self.script.wait()
        (self.root / "running.json").unlink()
        if code is None:
            raise Failed(f"{script['location']} ran longer than {script['timeout']} s")
        if code:
            raise Failed(f"{script['location']} ended with exit code {code}")

    # Files

    def install(self, digest: str, default: str) -> None:
        """Replace what the last revision installed by the files of this one."""
        appspec = self.appspec(digest)
        listed = read(self.root / "installed.json", {"paths": []})["paths"]
        files = wanted(self.revisions / digest / "bundle", appspec["files"])
        exists = appspec["exists"] or default
        ours = set(listed)
        there = [to for to in files if os.path.lexists(to) and to not in ours]
        if there and exists == "DISALLOW":
            raise Failed(
                f"{there[0]} exists already (file_exists_behavior is DISALLOW)"
            )
        if exists == "RETAIN":
            for kept in there:
                del files[kept]
        self.uninstall()
        folders: list[str] = []
        for to, source in files.items():
            parent = Path(to) if source is None else Path(to).parent
            for folder in [*reversed(parent.parents), parent]:
                if not folder.exists() and str(folder) not in folders:
                    folders.append(str(folder))
        copies = {to: source for to, source in files.items() if source is not None}
        # Written first: what is half installed can always be removed.
        paths = [*folders, *copies]
        write(self.root / "installed.json", {"digest": digest, "paths": paths})
        for each in folders:
            Path(each).mkdir(exist_ok=True)
        for to, origin in copies.items():
            copy(origin, Path(to))
        for permission in appspec["permissions"]:
            permit(permission, list(copies), folders)

    def uninstall(self) -> None:
        """Remove what the last revision installed; folders only when empty."""
        listed = read(self.root / "installed.json", {"paths": []})["paths"]
        for path in reversed(listed):
            if Path(path).is_dir() and not Path(path).is_symlink():
                try:
                    Path(path).rmdir()
                except OSError as error:
                    if error.errno not in {errno.ENOTEMPTY, errno.EBUSY}:
                        raise
            else:
                Path(path).unlink(missing_ok=True)
        (self.root / "installed.json").unlink(missing_ok=True)


def start(
    place: Path, bundle: Path, user: str | None, variables: dict[str, str], out: Any
) -> subprocess.Popen[bytes]:
    """Start a script in a session of its own, as its user."""
    account = pwd.getpwuid(os.geteuid())
    switch: dict[str, Any] = {}
    if user and user != account.pw_name:
        try:
            account = pwd.getpwnam(user)
        except KeyError:
            raise Failed(f"runas: there is no user '{user}'") from None
        groups = os.getgrouplist(user, account.pw_gid)
        switch = {"user": account.pw_uid, "group": account.pw_gid}
        switch["extra_groups"] = groups
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        **variables,
    }
    options: dict[str, Any] = {
        "cwd": bundle,
        "env": environment,
        "start_new_session": True,
        "stdin": subprocess.DEVNULL,
        "stdout": out,
        "stderr": out,
        **switch,
    }
    try:
        return subprocess.Popen([str(place)], **options)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # Without a first line `#!`, it is a script for the shell.
        return subprocess.Popen(["/bin/sh", str(place)], **options)


class Part:
    """The next bytes of a stream, as a file that ends after them."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream = stream
        self.left = size

    def read(self, size: int) -> bytes:
        data = self.stream.read(min(size, self.left))
        self.left -= len(data)
        if not data and size and self.left:
            raise Failed("the bundle did not arrive whole")
        return data

    def drain(self) -> None:
        while self.left:
            self.read(1 << 16)


def locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def numbers(text: bytes) -> tuple[int, int, int]:
    words = [int(word) for word in text.split()]
    return (words[0], words[1], words[2]) if len(words) == 3 else (0, 0, 0)


def start_of(pid: int) -> int:
    """When a process started, which tells it from another of the same number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(stat.rpartition(")")[2].split()[19])
