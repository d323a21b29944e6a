"""The process that forks guards: what commands are spared by it, and what not."""

import os
import signal
from pathlib import Path

from processes import Child

from prefect_delivery import launcher
from prefect_delivery.process import clean_environment, run_process


def said_by(script: str) -> list[str]:
    lines: list[str] = []
    run_process(
        ["sh", "-c", script],
        cwd=Path("/"),
        env=clean_environment(),
        on_line=lines.append,
    )
    return lines


def resident() -> int:
    found = launcher._launcher._resident
    assert found
    return found.pid


def test_commands_share_one_process_that_forks() -> None:
    said_by("true")
    before = resident()

    said_by("true")

    assert resident() == before


def kill_resident() -> int:
    killed = resident()
    process = os.pidfd_open(killed)
    os.kill(killed, signal.SIGKILL)
    os.waitid(os.P_PIDFD, process, os.WEXITED | os.WNOWAIT)
    os.close(process)
    return killed


def test_one_that_was_killed_is_replaced() -> None:
    said_by("true")
    killed = kill_resident()

    assert said_by("echo again") == ["again"]

    assert resident() != killed


def test_a_command_outlives_the_process_that_forked_its_guard(tmp_path: Path) -> None:
    lines: list[str] = []

    def kill(line: str) -> None:
        lines.append(line)
        if line == "begun":
            kill_resident()
            (tmp_path / "go").touch()

    run_process(
        ["sh", "-c", "echo begun; until test -e go; do sleep 0.01; done; echo done"],
        cwd=tmp_path,
        env=clean_environment(),
        on_line=kill,
    )

    assert lines == ["begun", "done"]


def test_a_forked_process_has_one_of_its_own(tmp_path: Path) -> None:
    said_by("true")

    def fork() -> None:
        said_by("true")
        (tmp_path / "resident").write_text(str(resident()))

    assert Child(fork).wait() == 0
    assert int((tmp_path / "resident").read_text()) != resident()


def test_a_command_gets_no_file_that_is_open_here(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        look = f"test ! -e /proc/self/fd/{file.fileno()}"

        assert Child(lambda: said_by(look)).wait() == 0
