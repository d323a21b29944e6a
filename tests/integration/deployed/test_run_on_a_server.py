"""`deliver run` on a server that is there, is not there, goes away, or comes back."""

import json
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from deployed import (
    Machine,
    Server,
    alive,
    running,
    seen_by_prefect,
    stubborn,
    until,
)
from git_http import free_port
from prefect.settings import PREFECT_API_URL, temporary_settings
from repository import Shop

from prefect_delivery.engine.state import Status
from prefect_delivery.flows.run import Watch, run_execution

PATIENT = """
      package:
        uses: build/commands
        outputs: {site: ["dist/**"]}
        with:
          commands:
            - touch %(mark)s
            - until test -e %(mark)s.go; do sleep 0.1; done
            - mkdir dist
            - touch dist/greeting
      later:
        uses: build/commands
        run_order: 2
        with: {commands: ["until test -e %(mark)s.on; do sleep 0.1; done"]}
"""


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may kill."""
    made = Server(tmp_path / "server")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def mark(shop: Shop, tmp_path: Path) -> Path:
    """Is there once the shop's build runs, which then waits for `mark.go`."""
    made = tmp_path / "mark"
    shop.define(PATIENT % {"mark": made})
    return made


def test_a_server_that_does_not_answer_is_named_and_nothing_is_recorded(
    machine: Machine, shop: Shop
) -> None:
    machine.url = f"http://127.0.0.1:{free_port()}/api"

    done = machine.call("deliver", "run", folder=shop.folder)

    assert done.returncode == 1
    assert done.stdout == ""
    error, hint = done.stderr.splitlines()
    assert error.startswith(f"error: the Prefect server at {machine.url} does not")
    assert "Connection refused" in error
    assert "prefect server start" in hint
    assert "prefect config unset PREFECT_API_URL" in hint
    assert "--local" in hint
    assert shop.ledger.executions.list() == []


class _Locked(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_refuses_us_is_named_and_nothing_is_recorded(
    machine: Machine, shop: Shop
) -> None:
    with HTTPServer(("127.0.0.1", 0), _Locked) as locked:
        threading.Thread(target=locked.serve_forever, daemon=True).start()
        machine.url = f"http://127.0.0.1:{locked.server_port}/api"

        done = machine.call("deliver", "run", folder=shop.folder)
        locked.shutdown()

    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error.endswith(f"{machine.url} refuses us: 401 Unauthorized")
    assert "PREFECT_API_AUTH_STRING" in hint
    assert shop.ledger.executions.list() == []


def test_an_execution_that_prefect_makes_no_run_for_is_closed(
    shop: Shop, home: Path
) -> None:
    notices: list[str] = []
    watch = Watch(lambda _: None, lambda *_: None, on_notice=notices.append)
    nowhere = f"http://127.0.0.1:{free_port()}/api"

    with temporary_settings({PREFECT_API_URL: nowhere}):
        ended = run_execution(shop.start().id, watch, local=False, ledger=shop.ledger)

    assert ended.status is Status.STOPPED
    assert (ended.reason or "").startswith("Prefect made no run for it: ")
    assert shop.ledger.executions.owner(ended.id) is None
    (notice,) = notices
    assert notice.startswith("Prefect could not be told how the execution ended")


def test_a_retry_without_a_server_opens_nothing(machine: Machine, shop: Shop) -> None:
    shop.define(PATIENT.replace("touch", "false") % {"mark": "none"})
    shop.drive(shop.start(), local=True)
    machine.url = f"http://127.0.0.1:{free_port()}/api"

    done = machine.call("deliver", "retry", folder=shop.folder)

    assert (done.returncode, done.stdout) == (1, "")
    assert shop.ledger.executions.find("shop").status is Status.FAILED


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 3)]
)
def test_a_run_that_is_interrupted_leaves_nothing(
    machine: Machine, shop: Shop, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    stubborn(shop, tmp_path / "mark")
    run = machine.start("deliver", "run", folder=shop.folder)
    build = running(shop, tmp_path / "mark")

    run.send_signal(number)

    assert run.wait(timeout=60) == code
    build.nothing_is_left()
    ended = shop.ledger.executions.find("shop")
    assert (ended.status, ended.reason) == (Status.STOPPED, f"stopped by {number.name}")
    assert "Traceback" not in "".join(machine.output())
    assert ended.flow_run is not None and machine.url is not None
    seen = seen_by_prefect(machine.url, UUID(ended.flow_run))
    assert (seen.flow_run.state_name, seen.flow_run.name) == ("Cancelled", "shop #1")


def test_an_execution_outlives_its_server(
    own_server: Server, machine: Machine, shop: Shop, mark: Path
) -> None:
    machine.url = own_server.url
    run = machine.start("deliver", "run", folder=shop.folder)
    until(mark.exists, "the build")

    own_server.kill()
    Path(f"{mark}.go").touch()
    Path(f"{mark}.on").touch()

    assert run.wait(timeout=180) == 0
    ended = shop.ledger.executions.find("shop")
    assert (ended.status, ended.reason) == (Status.SUCCEEDED, None)
    out, err = machine.output()
    assert "✓ shop #1 succeeded after" in out
    silent, trying, given_up = err.splitlines()
    assert silent.startswith("Prefect's server does not answer, which stops nothing")
    assert trying == "telling Prefect how it ended, for about a minute"
    assert given_up.startswith("Prefect could not be told how the execution ended")


def test_a_server_that_comes_back_learns_everything(
    own_server: Server, machine: Machine, shop: Shop, mark: Path
) -> None:
    machine.url = own_server.url
    run = machine.start("deliver", "run", folder=shop.folder)
    until(mark.exists, "the build")

    own_server.kill()
    Path(f"{mark}.go").touch()
    until(lambda: "Build / later" in machine.output()[0], "the end of an action")
    own_server.start()
    Path(f"{mark}.on").touch()

    assert run.wait(timeout=180) == 0
    assert "could not be told" not in machine.output()[1]
    ended = shop.ledger.executions.find("shop")
    assert ended.flow_run is not None
    seen = seen_by_prefect(own_server.url, UUID(ended.flow_run), tasks=4)
    assert (seen.flow_run.state_name, seen.flow_run.name) == ("Completed", "shop #1")
    assert seen.tasks == dict.fromkeys(
        ["Source / app", "Build / package", "Build / later", "Deliver / show"],
        "Completed",
    )
    assert "succeeded" in seen.page


def test_two_first_runs_at_once_start_one_private_server(
    machine: Machine, shop: Shop, home: Path
) -> None:
    machine.url = None
    runs = [
        machine.start("deliver", "run", folder=shop.folder, log=name)
        for name in ("one", "two")
    ]
    try:
        ends = {run.wait(timeout=240) for run in runs}
        # The newer of the two may supersede the older one, which then ends with 3.
        assert 0 in ends and ends <= {0, 3}, machine.output("one")
        servers = _servers_in(home / "server")
        note = home / "server" / "server.json"
        assert [server.pid for server in servers] == [
            json.loads(note.read_text())["pid"]
        ]
        ready = datetime.fromtimestamp(note.stat().st_mtime, UTC)
        assert all(e.started >= ready for e in shop.ledger.executions.list())
    finally:
        machine.switch_off()
        machine.call("deliver", "demo", "--stop")
        until(lambda: not alive(_servers_in(home / "server")), "the server's end")


def _servers_in(folder: Path) -> list[psutil.Process]:
    """Prefect servers, and what came of them, that work in a folder."""
    return [
        process
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.info["cwd"] == str(folder) and "server" in process.info["cmdline"]
    ]
