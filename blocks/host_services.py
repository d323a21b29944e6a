"""The running releases of a host: one supervised service each, on its own port."""

import http.client
import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from prefect_delivery.blocks.host_service import Instance, service_environment
from prefect_delivery.errors import ActionFailed
from prefect_delivery.service import State

_STEADY = 60.0
"""Seconds after a crash for which a service counts as failing."""


class Ready(BaseModel):
    """How a service shows that it can take requests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = Field(
        default=None,
        pattern="^/",
        description="Page that answers with a status below 400; without one it is"
        " enough that the port takes connections.",
    )
    timeout: float = Field(
        default=30, gt=0, le=3600, description="Seconds until it has failed to start."
    )


class Service(BaseModel):
    """What is kept running for a release.

    It finds PORT and HOST, where it has to listen, and RELEASE, the release's digest, in
    its environment, works in the release's folder and must stay in the foreground.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: list[str] = Field(
        min_length=1, description="Program and arguments; no shell reads them."
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Further variables; not for secrets."
    )
    ready: Ready = Field(
        default_factory=Ready, description="How it shows that it is ready."
    )
    stop_timeout: float = Field(
        default=10,
        ge=0,
        le=3600,
        description="Seconds to answer open requests, and again to end, when stopped.",
    )


class Services:
    """The services of one environment, by the digest of their release.

    Args:
        folder: Gets a folder for each service.
    """

    def __init__(self, folder: Path, service: Service) -> None:
        self._folder = folder
        self.service = service

    def state(self, digest: str) -> State | None:
        return self._instance(digest).state()

    def port(self, digest: str) -> int | None:
        """The port that the release's service was told to listen on."""
        state = self.state(digest)
        return state["port"] if state else None

    def running(self) -> Mapping[str, State]:
        """Every service that is supervised now."""
        found = {one.name: self.state(one.name) for one in self._folder.glob("*")}
        return {digest: state for digest, state in found.items() if state}

    def start(self, digest: str, release: Path, *, host: str, port: int) -> None:
        """Start the service of a release, unless it is supervised already."""
        facts = {"PORT": str(port), "HOST": host, "RELEASE": digest}
        self._instance(digest).start(
            self.service.command,
            cwd=release,
            environment=service_environment({**self.service.environment, **facts}),
            grace=self.service.stop_timeout,
        )

    def stop(self, digest: str) -> None:
        self._instance(digest).stop(self.service.stop_timeout)

    def tidy(self, digests: Collection[str]) -> None:
        """Remove the logs of all releases but these; none of those may run."""
        for folder in self._folder.glob("*"):
            if folder.name not in digests:
                shutil.rmtree(folder)

    def wait_until_ready(self, digest: str) -> None:
        """Wait until the service takes requests.

        Raises:
            ActionFailed: It ended instead, or took too long; with the end of its log.
        """
        deadline = time.monotonic() + self.service.ready.timeout
        first: State | None = None
        while problem := self._problem(state := self.state(digest)):
            first = first or state
            if first and _has_ended(first, state):
                how = (state or first)["exit"] or "its supervisor"
                raise self._failed(digest, f"ended with {how} before it was ready")
            if time.monotonic() > deadline:
                limit = self.service.ready.timeout
                raise self._failed(digest, f"is not ready after {limit:g} s: {problem}")
            time.sleep(0.02)

    def check_steady(self, digest: str) -> None:
        """Make sure that the service runs, and has not crashed a moment ago.

        Raises:
            ActionFailed: It does not, or has; with the end of its log.
        """
        state = self.state(digest)
        if state is None:
            raise self._failed(digest, "does not run")
        crashed = state["crashed"]
        if crashed is not None and time.monotonic() - crashed < _STEADY:
            raise self._failed(digest, f"ended with {state['exit']}")

    def _problem(self, state: State | None) -> str | None:
        if state is None or not state["child"]:
            return "it does not run"
        return _unanswered(state["port"] or 0, self.service.ready.path)

    def _failed(self, digest: str, how: str) -> ActionFailed:
        command = self.service.command[0]
        log = self._instance(digest).last_lines()
        said = f"; it said:\n{log}" if log else ""
        return ActionFailed(f"the service '{command}' {how}{said}")

    def _instance(self, digest: str) -> Instance:
        return Instance(self._folder / digest)


def _has_ended(first: State, now: State | None) -> bool:
    """Whether a service has ended since it was looked at first, or ended its first run.

    One that has crashed long ago and was started again is still to be waited for.
    """
    if now is None or now["starts"] > max(1, first["starts"]):
        return True
    return now["starts"] == 1 and now["exit"] is not None


def _unanswered(port: int, path: str | None) -> str | None:
    """What is wrong with the answer of a service; None when nothing is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        if path is None:
            connection.connect()
            return None
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return f"{path} answers with status {status}" if status >= 400 else None
