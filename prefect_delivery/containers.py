"""Run a command in a container on the Docker engine and be sure that it ends.

Sources: Docker Engine API, ContainerCreate, ContainerAttach, ContainerInspect
(`State.OOMKilled`); labels survive whatever happens to us.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from contextvars import copy_context
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.types import LogConfig
from prefect_docker.host import DockerHost  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.errors import ActionFailed
from prefect_delivery.holder import is_dead, this_holder
from prefect_delivery.lines import MIB, Lines
from prefect_delivery.process import REACTION, describe_exit

JOB_LABEL = "prefect-delivery.job"
HOLDER_LABEL = "prefect-delivery.holder"
PROCESSES = 4096
"""Processes that a container may hold at once."""


def failure_of_container(
    argv: Sequence[str],
    *,
    image: str,
    folder: Path,
    cwd: Path,
    env: Mapping[str, str],
    key: str,
    on_line: Callable[[str], None],
    timeout: float | None = None,
    memory: int | None = None,
    output: int = 64 * MIB,
    cancelled: threading.Event | None = None,
    mask: Callable[[str], str] = str,
) -> str | None:
    """Run a command in a container, remove the container, and say how it failed.

    The command runs as our user. It sees `folder` under the same path and nothing else
    of this machine. The image's entry point is not used.

    Args:
        image: Pulled when it is not there.
        key: What the container is labelled with; see `remove_orphans`. Containers that
            an earlier attempt left under the same key are removed first.
        timeout: Seconds until the command is ended.
        memory: Bytes that the container may use.
        output: Bytes of output that are handed on; the rest is dropped.

    Returns:
        The end of a sentence about the command; None when it exited with 0.

    Raises:
        ActionFailed: No engine answers, or the image cannot be had.
    """
    lines = Lines(on_line, mask=mask, limit=output)
    with (
        _engine() as client,
        # Left last: when the container is gone, its output has an end.
        ThreadPoolExecutor(1, "delivery-container") as threads,
        _container(client, argv, image, folder, cwd, env, key, memory) as container,
    ):
        # Attached before it starts, so that the first line is not missed.
        chunks = client.api.attach(str(container.id), stream=True, logs=False)
        if failure := _start(container, image):
            return failure
        # The context carries the Prefect run, whose log the lines go to.
        pump = threads.submit(copy_context().run, _pump, chunks, lines)
        ended = _wait(container, pump, timeout, cancelled or threading.Event())
        return ended or _failure(container, memory)


def image_id(image: str) -> str:
    """The digest of what an image's name stands for now; pulled when it is not there.

    Raises:
        ActionFailed: No engine answers, or the image cannot be had.
    """
    with _engine() as client:
        _require_image(client, image)
        try:
            return str(client.images.get(image).id)
        except DockerException as error:
            raise ActionFailed(f"image '{image}' cannot be read: {error}") from error


def remove_orphans(is_live: Callable[[str], bool]) -> list[str]:
    """Remove containers of jobs whose process is gone or that have ended.

    Args:
        is_live: Whether the job with this key is still being carried out.

    Returns:
        The keys of the jobs whose containers were removed.

    Raises:
        ActionFailed: No engine answers.
    """
    removed = []
    with _engine() as client:
        for container in _labelled(client, JOB_LABEL):
            key = container.labels[JOB_LABEL]
            gone = is_dead(container.labels.get(HOLDER_LABEL, ""))
            if gone or (key and not is_live(key)):
                _remove(container)
                removed.append(key)
    return removed


@contextmanager
def _engine() -> Iterator[DockerClient]:
    try:
        client = DockerHost().get_client()
        client.ping()
    except (DockerException, OSError) as error:
        raise ActionFailed(
            f"no Docker engine answers: {error}",
            hint="start one, set DOCKER_HOST, or leave out 'image'",
        ) from error
    with closing(client):
        yield client


@contextmanager
def _container(
    client: DockerClient,
    argv: Sequence[str],
    image: str,
    folder: Path,
    cwd: Path,
    env: Mapping[str, str],
    key: str,
    memory: int | None,
) -> Iterator[Container]:
    """A container that is made but not started; removed when left."""
    _remove_earlier(client, key)
    _require_image(client, image)
    try:
        container = client.containers.create(
            image,
            entrypoint=list(argv),
            command=[],
            environment=dict(env),
            working_dir=os.fspath(cwd),
            user=f"{os.getuid()}:{os.getgid()}",
            volumes={os.fspath(folder): {"bind": os.fspath(folder), "mode": "rw"}},
            labels={JOB_LABEL: key, HOLDER_LABEL: this_holder()},
            mem_limit=memory,
            memswap_limit=memory,
            pids_limit=PROCESSES,
            security_opt=["no-new-privileges"],
            # What is printed goes to us; on the engine's disk it would have no bound.
            log_config=LogConfig(type="none"),
        )
    except APIError as error:
        raise ActionFailed(
            f"the Docker engine makes no container of '{image}': {error.explanation}"
        ) from error
    try:
        yield container
    finally:
        _remove(container)


def _remove_earlier(client: DockerClient, key: str) -> None:
    if key:
        for container in _labelled(client, f"{JOB_LABEL}={key}"):
            _remove(container)


def _labelled(client: DockerClient, label: str) -> list[Container]:
    return client.containers.list(all=True, filters={"label": label})


def _require_image(client: DockerClient, image: str) -> None:
    try:
        client.images.get(image)
    except APIError:
        _pull(client, image)


def _pull(client: DockerClient, image: str) -> None:
    try:
        client.images.pull(image)
    except DockerException as error:
        reason = getattr(error, "explanation", None) or error
        raise ActionFailed(
            f"image '{image}' is not on the Docker engine and cannot be pulled: "
            f"{reason}",
            hint=f"docker pull {image}",
        ) from error


def _start(container: Container, image: str) -> str | None:
    try:
        container.start()
    except APIError as error:
        return f"cannot be run in image '{image}': {error.explanation}"
    return None


def _pump(output: Iterator[bytes], lines: Lines) -> None:
    for chunk in output:
        lines.feed(chunk)
    lines.close()


def _wait(
    container: Container,
    pump: "Future[None]",
    timeout: float | None,
    cancelled: threading.Event,
) -> str | None:
    """Wait until the container ends, or must be ended, and say why it must."""
    deadline = time.monotonic() + timeout if timeout else None
    while not _has_ended(container, pump):
        if cancelled.wait(REACTION):
            return "was stopped"
        if deadline and time.monotonic() > deadline:
            return f"did not end within {timeout:g} s"
    return None


def _has_ended(container: Container, pump: "Future[None]") -> bool:
    if not pump.done():
        return False
    # A reader that failed is not to be waited for.
    pump.result()
    # A command may close its output and go on.
    container.reload()
    return container.status in {"exited", "dead"}


def _failure(container: Container, memory: int | None) -> str | None:
    state = container.attrs["State"]
    code = int(state["ExitCode"])
    if code and state.get("OOMKilled"):
        return f"used more than {(memory or 0) // MIB} MB of memory"
    return describe_exit(code) if code else None


def _remove(container: Container) -> None:
    try:
        container.remove(force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        # Somebody else is removing it already.
        if error.status_code != 409:
            raise
