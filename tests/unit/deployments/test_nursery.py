"""Processes that wait for something to do, and are watched to their end."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from prefect_delivery.deployments.nursery import LOST, Child, Nursery
from prefect_delivery.errors import DeliveryError

BEARER = """
import atexit, json, os, sys, time
from functools import partial

def live(channel):
    said = b"".join(iter(partial(channel.recv, 65536), b""))
    if not said:
        return
    job = json.loads(said)
    atexit.register(lambda: print("at exit", file=open(job["file"], "a")))
    if job["what"] == "sleep":
        time.sleep(600)
    elif job["what"] == "exit":
        sys.exit(7)
    else:
        with open(job["file"], "w") as file:
            print(os.getpid(), os.getpgid(0), file=file)
"""


@pytest.fixture
def bearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module with `live`, which a nursery's processes can import."""
    file = tmp_path / "bearer.py"
    file.write_text(BEARER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return file


def within(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


async def taken(nursery: Nursery, file: Path, what: str = "write") -> Child:
    child = await nursery.take()
    child.begin({"file": str(file), "what": what})
    return child


def test_a_child_does_its_job_as_a_process_like_any_other(
    bearer: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        nursery = Nursery(["bearer"])
        await nursery.open()
        one, two = [await taken(nursery, tmp_path / name) for name in "ab"]
        assert [await one.wait(), await two.wait()] == [0, 0]
        for child, name in ((one, "a"), (two, "b")):
            numbers, end = (tmp_path / name).read_text().splitlines()
            assert numbers == f"{child.pid} {child.pid}"  # it leads a group of its own
            assert end == "at exit"
        await nursery.close()

    within(work())


@pytest.mark.parametrize(("what", "number", "code"), [("exit", 0, 7), ("sleep", 9, -9)])
def test_how_a_child_has_ended_is_known(
    bearer: Path, tmp_path: Path, what: str, number: int, code: int
) -> None:
    async def work() -> None:
        nursery = Nursery(["bearer"])
        child = await taken(nursery, tmp_path / "file", what)
        if number:
            os.kill(child.pid, number)
        assert await child.wait() == child.returncode == code
        await nursery.close()

    within(work())


def test_a_spare_that_has_died_is_not_given_out(bearer: Path, tmp_path: Path) -> None:
    async def work() -> None:
        nursery = Nursery(["bearer"])
        await nursery.open()
        assert nursery._spare
        spare = await nursery._spare
        os.kill(spare.pid, signal.SIGKILL)
        await spare.wait()
        child = await taken(nursery, tmp_path / "file")
        assert child.pid != spare.pid
        assert await child.wait() == 0
        await nursery.close()

    within(work())


def test_when_the_forker_dies_its_children_end_and_another_one_takes_its_place(
    bearer: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        nursery = Nursery(["bearer"])
        child = await taken(nursery, tmp_path / "file", "sleep")
        process = psutil.Process(child.pid)
        process.parent().kill()  # type: ignore[union-attr]  # it lives
        assert await child.wait() == LOST
        await asyncio.to_thread(psutil.wait_procs, [process], 30)
        assert not process.is_running()
        assert await (await taken(nursery, tmp_path / "file")).wait() == 0
        await nursery.close()

    within(work())


def test_children_do_not_outlive_the_process_that_wanted_them(
    bearer: Path, tmp_path: Path
) -> None:
    worker = f"""
import asyncio, os
from prefect_delivery.deployments.nursery import Nursery
async def main():
    nursery = Nursery(["bearer"])
    child = await nursery.take()
    child.begin({{"file": {str(tmp_path / "file")!r}, "what": "sleep"}})
    print(child.pid, (await nursery._spare).pid, flush=True)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""

    async def work() -> None:
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-c", worker, stdout=asyncio.subprocess.PIPE
        )
        assert made.stdout
        pids = (await made.stdout.readline()).split()
        await made.wait()
        while any(psutil.pid_exists(int(pid)) for pid in pids):
            await asyncio.sleep(0.02)

    within(work())


def test_after_a_renewal_children_are_born_with_new_code(
    bearer: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        nursery = Nursery(["bearer"])
        old = await taken(nursery, tmp_path / "old", "sleep")
        forker = psutil.Process(old.pid).parent()
        bearer.write_text(BEARER.replace("sys.exit(7)", "sys.exit(8)"))
        await nursery.renew()
        new = await taken(nursery, tmp_path / "new", "exit")
        assert await new.wait() == 8
        assert old.returncode is None
        assert forker and forker.is_running()
        os.kill(old.pid, signal.SIGTERM)
        assert await old.wait() == -signal.SIGTERM
        await asyncio.to_thread(psutil.wait_procs, [forker], 30)
        assert not forker.is_running()
        await nursery.close()

    within(work())


def test_a_renewal_with_broken_code_changes_nothing(
    bearer: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        nursery = Nursery(["bearer"])
        await nursery.open()
        bearer.write_text("not python")
        with pytest.raises(DeliveryError, match="has ended"):
            await nursery.renew()
        for name in "ab":
            assert await (await taken(nursery, tmp_path / name)).wait() == 0
        await nursery.close()

    within(work())


def test_a_module_that_cannot_be_imported_is_an_error(
    bearer: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        nursery = Nursery(["bearer", "no_such_module"])
        with pytest.raises(DeliveryError, match="has ended"):
            await nursery.open()
        with pytest.raises(DeliveryError, match="has ended"):
            await nursery.take()
        await nursery.close()

    within(work())
    assert "No module named 'no_such_module'" in capfd.readouterr().err
