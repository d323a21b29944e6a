"""Run a command on this machine and be sure that it ends."""

import contextlib
import marshal
import os
import selectors
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect_delivery.errors import ActionFailed
from prefect_delivery.launcher import launch
from prefect_delivery.lines import MIB, Lines

if TYPE_CHECKING:
    from prefect_delivery.guard import Order

CHUNK = 64 * 1024
REACTION = 0.1
"""Seconds within which a cancellation is seen."""

KEPT = (
    # who and where
    *("HOME", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"),
    # language
    *("LANG", "LANGUAGE"),
    # the way out: proxies, certificates, package mirrors
    *("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"),
    *("all_proxy", "https_proxy", "http_proxy", "no_proxy"),
    *("CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "PIP_CERT"),
    *("REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    *("GOPROXY", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "npm_config_registry"),
)
"""Variables of this process that a command gets, besides `LC_*`."""


def run_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    timeout: float | None = None,
    memory: int | None = None,
    output: int = 64 * MIB,
    cancelled: threading.Event | None = None,
    grace: float = 5,
    mask: Callable[[str], str] = str,
) -> None:
    """Run a command until it and every process that came of it have ended.

    Whatever the command leaves behind is ended with it, also when it is cancelled, runs
    too long or uses too much memory, and when this process is killed.

    Args:
        argv: The command and its arguments; no shell reads them.
        env: The whole environment; see `clean_environment`.
        on_line: Takes each line of the output, standard error included.
        timeout: Seconds until the command is ended.
        memory: Bytes that all its processes may hold together, looked at some times a
            second.
        output: Bytes of output that are handed on; the rest is read and dropped.
        cancelled: Ends the command once it is set.
        grace: Seconds between the request to end and the kill.
        mask: Hides secrets in a line.

    Raises:
        ActionFailed: The command did not exit with 0; says how it ended.
    """
    failure = failure_of_process(
        argv,
        cwd=cwd,
        env=env,
        on_line=on_line,
        timeout=timeout,
        memory=memory,
        output=output,
        cancelled=cancelled,
        grace=grace,
        mask=mask,
    )
    if failure:
        raise ActionFailed(f"'{argv[0]}' {failure}")


def failure_of_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    timeout: float | None = None,
    memory: int | None = None,
    output: int = 64 * MIB,
    cancelled: threading.Event | None = None,
    grace: float = 5,
    mask: Callable[[str], str] = str,
) -> str | None:
    """Run a command as `run_process` does, and say how it failed, if it did.

    Returns:
        The end of a sentence about the command, such as `ended with exit code 2`.
    """
    order: Order = {
        "argv": [os.fspath(part) for part in argv],
        "cwd": os.fspath(cwd),
        "env": dict(env),
        "timeout": timeout,
        "memory": memory,
        "grace": grace,
    }
    cancelled = cancelled or threading.Event()
    if cancelled.is_set():
        return "was stopped before it started"
    lines = Lines(on_line, mask=mask, limit=output)
    with _guarded(order) as guard:
        report = guard.follow(lines.feed, cancelled)
    lines.close()
    return _failure(report, order)


def clean_environment(extra: Mapping[str, str] = {}) -> dict[str, str]:
    """The environment of a command: what `KEPT` names, `CI=true`, and `extra`.

    Nothing else of this process is passed on: no `PREFECT_*`, no keys, no tokens.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith("LC_")
    }
    return {**kept, "CI": "true", **extra}


def describe_exit(code: int) -> str:
    """How a command ended, by its exit code as a shell or a container reports it."""
    if code <= 128 or code - 128 not in set(signal.Signals):
        return f"ended with exit code {code}"
    return f"ended with exit code {code} ({describe_signal(code - 128)})"


def describe_signal(number: int) -> str:
    """How a command ended that a signal killed; it was not us who sent it."""
    name = _signal_name(number)
    guess = " (out of memory?)" if number == signal.SIGKILL else ""
    return f"was killed by signal {number}, {name}{guess}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a real-time signal"


@dataclass
class _Guarded:
    """A running guard and our ends of its pipes."""

    control: int
    output: int
    report: int

    def follow(self, feed: Callable[[bytes], None], cancelled: threading.Event) -> str:
        """Hand on the output until the guard is gone; return what it reported."""
        report = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.output, selectors.EVENT_READ)
            selector.register(self.report, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select(REACTION)}
                if cancelled.is_set():
                    self.stop()
                if self.output in ready:
                    feed(_read(self.output))
                if self.report in ready:
                    piece = os.read(self.report, CHUNK)
                    report += piece
                    if not piece:
                        break
        while chunk := _read(self.output):
            feed(chunk)
        return report.decode(errors="replace")

    def stop(self) -> None:
        """Make the guard end the command; it does the same when we are killed."""
        if self.control >= 0:
            os.close(self.control)
            self.control = -1

    def close(self) -> None:
        os.close(self.output)
        self.stop()
        while os.read(self.report, CHUNK):
            pass  # until the guard and its keeper have ended
        os.close(self.report)


def _read(descriptor: int) -> bytes:
    # Output that waits is read without waiting for more.
    with contextlib.suppress(BlockingIOError):
        return os.read(descriptor, CHUNK)
    return b""


@contextmanager
def _guarded(order: "Order") -> Iterator[_Guarded]:
    guard = _start()
    try:
        _send(guard, order)
        yield guard
    finally:
        guard.close()


def _start() -> _Guarded:
    control, control_ours = os.pipe()
    output_ours, output = os.pipe()
    report_ours, report = os.pipe()
    os.set_blocking(output_ours, False)
    try:
        launch(control, output, report)
    except BaseException:
        for descriptor in (control_ours, output_ours, report_ours):
            os.close(descriptor)
        raise
    finally:
        for descriptor in (control, output, report):
            os.close(descriptor)
    return _Guarded(control_ours, output_ours, report_ours)


def _send(guard: _Guarded, order: "Order") -> None:
    data = marshal.dumps(dict(order))
    data = len(data).to_bytes(8, "little") + data
    # A guard that is already gone reports so by its silence.
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(guard.control, data) :]


def _failure(report: str, order: "Order") -> str | None:
    word, _, rest = report.partition("\n")[0].partition(" ")
    match word:
        case "exit":
            return describe_exit(int(rest)) if rest != "0" else None
        case "signal":
            return describe_signal(int(rest))
        case "error":
            return rest
        case _:
            return _ended(rest, order)


def _ended(reason: str, order: "Order") -> str:
    match reason:
        case "cancelled":
            return "was stopped"
        case "timeout":
            return f"did not end within {order['timeout'] or 0:g} s"
        case "memory":
            return f"used more than {(order['memory'] or 0) // MIB} MB of memory"
        case _:
            return "was ended, since its guard was killed (out of memory?)"
