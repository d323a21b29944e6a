"""The log files of actions: one an attempt, under the installation's home."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prefect_delivery.settings import settings


@dataclass(frozen=True, kw_only=True)
class LogFile:
    """Where the log of one attempt at an action lies."""

    stage: str
    action: str
    attempt: int
    path: Path

    @classmethod
    def of(cls, execution_id: str, stage: str, action: str, attempt: int) -> "LogFile":
        # A tilde is in no name, so that no two attempts share a file and no name
        # (`..` is one) leads out of the folder.
        name = f"{stage}~{action}~{attempt}.log"
        path = settings().logs / execution_id / name
        return cls(stage=stage, action=action, attempt=attempt, path=path)

    def lines(self) -> list[str]:
        """The lines so far, without their times; empty when nothing was logged."""
        if not self.path.exists():
            return []
        text = self.path.read_text(encoding="utf-8", errors="replace")
        return [line.partition(" ")[2] for line in text.splitlines()]

    def writer(self, also: Callable[[str], None]) -> "LogWriter":
        """Open the file for adding lines, each of which is handed to `also` too."""
        return LogWriter(self.path, also)


class LogWriter:
    """Adds lines with their times to a log file, from any thread."""

    def __init__(self, path: Path, also: Callable[[str], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self._also = also

    def __call__(self, line: str) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            if not self._file.closed:
                self._file.write(f"{stamp} {line}\n")
        self._also(line)

    def close(self) -> None:
        with self._lock:
            self._file.close()
