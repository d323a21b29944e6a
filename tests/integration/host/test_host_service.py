"""The supervisor that keeps a service running after the rollout has ended."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import Child

from prefect_delivery.blocks.host_service import Instance, service_environment
from prefect_delivery.service import LOG_LIMIT, State, start_of

FORKS = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    open("grandchild", "w").write(str(os.getpid()))
    time.sleep(1000)
time.sleep(1000)
"""


class Service:
    """A command under a supervisor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.instance = Instance(folder / "service")

    def start(self, program: str, **environment: str) -> None:
        self.instance.start(
            [sys.executable, "-I", "-S", "-c", program],
            cwd=self.folder,
            environment=service_environment(environment),
            grace=0.2,
        )

    def stop(self) -> None:
        self.instance.stop(0.2)

    def when(self, condition: Callable[[State], object]) -> State:
        """The state as soon as the condition holds."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            state = self.instance.state()
            if state and condition(state):
                return state
            time.sleep(0.01)
        raise AssertionError(f"never happened: {self.instance.state()}")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.stop()


def child_of(state: State) -> int:
    assert state["child"]
    return state["child"]


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_service_that_crashes_is_started_again(service: Service) -> None:
    service.start("import time; time.sleep(1000)")
    first = service.when(lambda state: state["child"])

    os.kill(child_of(first), signal.SIGKILL)
    second = service.when(lambda state: state["starts"] == 2 and state["child"])

    assert second["exit"] == "signal 9"
    assert second["pid"] == first["pid"]


def test_a_service_is_started_once_however_often_it_is_asked_for(
    service: Service,
) -> None:
    service.start("import time; time.sleep(1000)")
    first = service.when(lambda state: state["child"])

    service.start("import time; time.sleep(1000)")

    assert service.instance.state() == first


def test_stopping_ends_what_ignores_the_request_and_what_left_its_group(
    service: Service,
) -> None:
    service.start(FORKS)
    child = child_of(service.when(lambda state: state["child"]))
    note = service.folder / "grandchild"
    eventually(lambda: note.exists() and note.read_text())

    service.stop()

    assert start_of(child) is None
    assert start_of(int(note.read_text())) is None
    assert service.instance.state() is None


def test_a_killed_supervisor_takes_its_service_with_it(service: Service) -> None:
    service.start("import time; time.sleep(1000)")
    state = service.when(lambda state: state["child"])

    os.kill(state["pid"], signal.SIGKILL)

    eventually(lambda: start_of(child_of(state)) is None)
    assert service.instance.state() is None


def test_what_a_killed_supervisor_left_behind_is_ended_by_the_next_stop(
    service: Service,
) -> None:
    service.start(FORKS)
    state = service.when(lambda state: state["child"])
    note = service.folder / "grandchild"
    eventually(lambda: note.exists() and note.read_text())
    os.kill(state["pid"], signal.SIGKILL)

    service.stop()

    eventually(lambda: start_of(int(note.read_text())) is None)


def test_a_state_of_another_process_with_the_same_number_is_not_believed(
    service: Service,
) -> None:
    service.start("import time; time.sleep(1000)")
    service.when(lambda state: state["child"])
    file = service.instance.folder / "state.json"
    text = file.read_text()
    service.stop()

    file.write_text(text.replace('"pid": ', f'"pid": {os.getpid()}, "was": '))

    assert service.instance.state() is None
    file.unlink()


def test_the_service_finds_its_environment_and_nothing_of_ours(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    service.start(
        "import os, time; print(*os.environ, flush=True); time.sleep(99)", A="b"
    )

    eventually(lambda: service.instance.last_lines())
    names = service.instance.last_lines().split()
    assert "A" in names
    assert not {"PREFECT_API_KEY", "AWS_SECRET_ACCESS_KEY", "CI"} & set(names)


def test_a_log_that_has_grown_too_large_is_moved_away(service: Service) -> None:
    service.start("import time; print('hello', flush=True); time.sleep(1000)")
    state = service.when(lambda state: state["child"])
    os.truncate(service.instance.log, LOG_LIMIT + 1)

    os.kill(child_of(state), signal.SIGKILL)
    service.when(lambda state: state["starts"] == 2 and state["child"])

    eventually(lambda: service.instance.log.read_text() == "hello\n")
    assert (service.instance.folder / "service.log.1").stat().st_size > LOG_LIMIT


def test_the_supervisor_survives_the_process_that_started_it(
    service: Service,
) -> None:
    assert Child(lambda: service.start("import time; time.sleep(1000)")).wait() == 0

    state = service.when(lambda state: state["child"])
    assert os.getsid(state["pid"]) == state["pid"]
