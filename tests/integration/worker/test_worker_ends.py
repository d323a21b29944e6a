"""What becomes of runs when a worker, or what it keeps warm, ends or is renewed."""

import signal
from pathlib import Path

import pytest
from deployed import until
from work_pools import Pool

NOTED = "worker_flows.noted"


def test_a_worker_that_is_told_to_end_ends_its_runs_and_says_so(pool: Pool) -> None:
    worker = pool.work("deliver", "worker", pool.name)
    forker = worker.forker
    runs = [pool.ask(NOTED, seconds=600) for _ in range(2)]
    for run in runs:
        run.note("begun")

    worker.process.terminate()

    assert worker.gone() == 0
    for run in runs:
        assert run.stands().state_name == "Crashed"
        run.nothing_is_left()
    until(lambda: not forker.is_running(), "the end of what was kept warm")
    assert "Traceback" not in worker.output


def test_a_worker_may_wait_for_its_runs_and_takes_no_more(pool: Pool) -> None:
    worker = pool.work("deliver", "worker", pool.name, "--drain", "600")
    run = pool.ask(NOTED, seconds=600)
    run.note("begun")

    worker.process.terminate()
    until(lambda: "waiting" in worker.output, "the wait")
    late = pool.ask(NOTED)
    (pool.notes / "go").touch()

    assert worker.gone() == 0
    assert run.stands().state_name == "Completed"
    assert late.stands().state_name == "Scheduled"


def test_runs_of_a_killed_worker_end_by_themselves(pool: Pool) -> None:
    # This is how Prefect itself starts a worker of our type.
    worker = pool.work("prefect", "worker", "start", "-p", pool.name, "-t", "delivery")
    run = pool.ask(NOTED, seconds=600)
    run.note("begun")

    worker.process.kill()

    assert run.ended().state_name == "Crashed"
    run.nothing_is_left()


def test_what_is_kept_warm_may_be_killed(pool: Pool) -> None:
    worker = pool.work("deliver", "worker", pool.name)
    run = pool.ask(NOTED, seconds=600)
    run.note("begun")
    before = worker.forker

    before.kill()

    assert run.ended().state_name == "Crashed"
    run.nothing_is_left()
    assert pool.ask(NOTED).ended().state_name == "Completed"
    assert worker.forker.pid != before.pid


def test_after_sighup_runs_begin_with_the_code_on_disk(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    monkeypatch.syspath_prepend(code)
    pool.machine.more["PYTHONPATH"] += f":{code}"
    pool.machine.more["PREFECT_DELIVERY_PRELOAD"] = "changing"
    flow = (
        "from prefect import flow\nfrom worker_flows import note\n"
        "@flow\ndef told(folder: str) -> None:\n    note(folder, 'told', what={!r})\n"
    )
    (code / "changing.py").write_text(flow.format("old"))
    worker = pool.work("deliver", "worker", pool.name)
    going = pool.ask(NOTED, seconds=600)
    going.note("begun")
    before = worker.forker

    (code / "changing.py").write_text(flow.format("renewed"))
    worker.process.send_signal(signal.SIGHUP)
    until(lambda: "code on disk" in worker.output, "the new code")
    told = pool.ask("changing.told")

    assert told.note("told")["what"] == "renewed"
    (pool.notes / "go").touch()
    assert going.ended().state_name == "Completed"
    until(lambda: not before.is_running(), "the end of the old forker")
