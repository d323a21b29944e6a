import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from prefect_delivery.errors import ActionFailed
from prefect_delivery.lines import MIB
from prefect_delivery.process import clean_environment, run_process

PYTHON = sys.executable


def output_of(
    *argv: str, env: Mapping[str, str] | None = None, **limits: Any
) -> list[str]:
    lines: list[str] = []
    environment = clean_environment() if env is None else env
    run_process(argv, cwd=Path("/"), env=environment, on_line=lines.append, **limits)
    return lines


def failure_of(*argv: str, **limits: Any) -> str:
    with pytest.raises(ActionFailed) as failure:
        output_of(*argv, **limits)
    return failure.value.message


def running(word: str) -> list[str]:
    """Processes one of whose arguments is `word`."""
    lines = [path / "cmdline" for path in Path("/proc").glob("[0-9]*")]
    found = []
    for line in lines:
        try:
            arguments = line.read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if word in arguments:
            found.append(" ".join(arguments))
    return found


def test_both_outputs_arrive_as_lines_in_their_order() -> None:
    assert output_of("sh", "-c", "echo one; echo two >&2; printf three") == [
        "one",
        "two",
        "three",
    ]


def test_arguments_reach_the_command_as_they_are() -> None:
    hostile = [
        "$(id)",
        "`id`",
        "; id",
        "-rf",
        "${IFS}",
        "%0a",
        "*",
        "'",
        '"',
        " ",
        "é\t",
    ]

    assert output_of("printf", "%s\n", *hostile) == hostile


def test_the_command_gets_exactly_the_given_environment() -> None:
    env = {"PATH": "/usr/bin:/bin", "ODD": "a=b $(id) é"}

    assert sorted(output_of("env", env=env)) == sorted(
        f"{name}={value}" for name, value in env.items()
    )


def test_the_command_reads_nothing_and_inherits_no_other_descriptor() -> None:
    listing = output_of("sh", "-c", "cat; ls /proc/$$/fd")

    # sh keeps no descriptor of its own while it runs a line given by -c.
    assert listing == ["0", "1", "2"]


def test_the_command_is_not_in_our_session() -> None:
    script = "import os; print(os.getsid(0) == os.getpid() == os.getpgid(0))"

    assert output_of(PYTHON, "-c", script) == ["True"]


def test_signals_that_python_ignores_have_their_default_effect_again() -> None:
    script = "import signal; print(signal.getsignal(signal.SIGPIPE).name)"

    # Python sets these to ignored on its own start; sh shows what it was given, which
    # may hold others that this whole session has inherited.
    (line,) = output_of("sh", "-c", "grep SigIgn /proc/$$/status")
    ignored = int(line.split()[1], 16)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        assert not ignored >> (number - 1) & 1
    assert output_of(PYTHON, "-c", script) == ["SIG_IGN"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["sh", "-c", "exit 3"], "'sh' ended with exit code 3"),
        (["sh", "-c", "kill -SEGV $$"], "'sh' was killed by signal 11, SIGSEGV"),
        (
            ["sh", "-c", "kill -KILL $$"],
            "'sh' was killed by signal 9, SIGKILL (out of memory?)",
        ),
        (
            ["sh", "-c", "exit 137"],
            (
                "'sh' ended with exit code 137 "
                "(was killed by signal 9, SIGKILL (out of memory?))"
            ),
        ),
        (["no-such-command"], "'no-such-command' was not found"),
        (["/etc/passwd"], "'/etc/passwd' cannot be run: permission denied"),
    ],
)
def test_a_failure_says_how_the_command_ended(argv: list[str], message: str) -> None:
    assert failure_of(*argv) == message


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(ActionFailed, match="no folder '/no/such/place'"):
        run_process(["true"], cwd=Path("/no/such/place"), env={}, on_line=print)


def test_a_command_that_takes_too_long_is_ended() -> None:
    assert failure_of("sleep", "600", timeout=0.2) == "'sleep' did not end within 0.2 s"


def test_a_command_that_ignores_the_request_to_end_is_killed_with_its_children() -> (
    None
):
    script = "trap '' TERM; setsid sleep 600.25 & sleep 600.25; sleep 600.25"

    failure_of("sh", "-c", script, timeout=0.3, grace=0.3)

    assert running("600.25") == []


def test_a_command_may_clean_up_when_it_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "note"
    script = f"trap 'echo clean > {note}; exit' TERM; sleep 600 & wait"

    failure_of("sh", "-c", script, timeout=0.5)

    assert note.read_text() == "clean\n"


def test_what_a_command_leaves_running_is_ended_with_it() -> None:
    double_fork = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        os.execvp('sleep', ['sleep', '600.5'])\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )

    output_of(PYTHON, "-c", double_fork)

    assert running("600.5") == []


def test_a_chain_of_processes_that_replace_each_other_is_ended() -> None:
    fleeing = (
        "import os, sys, time\n"
        "for _ in range(2000):\n"
        "    if os.fork():\n"
        "        os._exit(0)\n"
        "    os.setsid()\n"
        "    time.sleep(0.001)\n"
    )

    output_of(PYTHON, "-c", fleeing, "fleeing-chain", grace=0)

    assert running("fleeing-chain") == []


def test_a_stopped_process_is_ended_too() -> None:
    output_of("sh", "-c", "sleep 600.75 & kill -STOP $!", grace=0.2)

    assert running("600.75") == []


def test_a_cancelled_command_is_stopped() -> None:
    cancelled = threading.Event()

    def cancel(_: str) -> None:
        cancelled.set()

    with pytest.raises(ActionFailed, match="'sh' was stopped"):
        run_process(
            ["sh", "-c", "echo ready; sleep 600"],
            cwd=Path("/"),
            env=clean_environment(),
            on_line=cancel,
            cancelled=cancelled,
        )


def test_a_command_that_is_cancelled_beforehand_is_not_started(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()

    failure_of("touch", str(tmp_path / "made"), cancelled=cancelled)

    assert not (tmp_path / "made").exists()


def test_a_failing_reader_ends_the_command() -> None:
    def fail(_: str) -> None:
        raise OSError("no room for the log")

    with pytest.raises(OSError, match="no room"):
        run_process(
            ["sh", "-c", "echo; sleep 601.25"],
            cwd=Path("/"),
            env=clean_environment(),
            on_line=fail,
        )

    assert running("601.25") == []


def test_memory_is_limited_over_all_processes_together() -> None:
    hungry = "import time; held = bytearray(60 << 20); time.sleep(600)"
    script = f'"{PYTHON}" -c "{hungry}" & "{PYTHON}" -c "{hungry}" & wait'

    assert (
        failure_of("sh", "-c", script, memory=100 * MIB)
        == "'sh' used more than 100 MB of memory"
    )


def test_memory_that_processes_share_counts_once() -> None:
    sharing = (
        "import mmap, os, time\n"
        "shared = mmap.mmap(-1, 60 << 20)\n"
        "shared.write(b'x' * (60 << 20))\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        shared.seek(0); sum(map(len, iter(lambda: shared.read(4096), b'')))\n"
        "        time.sleep(1); os._exit(0)\n"
        "for _ in range(3): os.wait()\n"
        "print('done')\n"
    )

    assert output_of(PYTHON, "-c", sharing, memory=150 * MIB) == ["done"]


def test_output_beyond_the_limit_is_dropped_with_a_note_and_the_command_goes_on(
    tmp_path: Path,
) -> None:
    script = f"yes | head -c 20000000; echo > {tmp_path / 'done'}"

    lines = output_of("sh", "-c", script, output=10)

    assert lines == ["y"] * 5 + ["(output after the first 10 bytes not shown)"]
    assert (tmp_path / "done").exists()


def test_the_environment_holds_no_secret_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PREFECT_API_KEY", "AWS_SECRET_ACCESS_KEY", "GH_TOKEN", "LD_PRELOAD"):
        monkeypatch.setenv(name, "precious")
    monkeypatch.setenv("LC_TIME", "C")

    environment = clean_environment({"MINE": "1"})

    assert "precious" not in environment.values()
    assert {"CI": "true", "LC_TIME": "C", "MINE": "1"}.items() <= environment.items()
    assert environment["PATH"]


def test_a_core_file_is_never_written() -> None:
    script = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"

    assert output_of(PYTHON, "-c", script) == ["(0, 0)"]


def test_a_signal_that_was_blocked_here_is_not_blocked_there() -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        lines = output_of("sh", "-c", "grep SigBlk /proc/self/status")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    assert lines == ["SigBlk:\t0000000000000000"]
