"""Runs that a warm worker carries out, from their beginning to any of their ends."""

import asyncio
from collections import Counter
from pathlib import Path
from statistics import median
from uuid import UUID

import pytest
from deployed import Deployed, until
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Pending
from repository import Shop
from work_pools import Pool

from prefect_delivery.deployments.nursery import Nursery
from prefect_delivery.deployments.warm_start import Job, Runs
from prefect_delivery.deployments.worker import PRELOADED
from prefect_delivery.engine.state import Status

NOTED = "worker_flows.noted"


def test_a_pipeline_is_delivered(deployed: Deployed, shop: Shop, home: Path) -> None:
    flow_run = deployed.run(shop, home, variables={"greeting": "welcome"})

    ended = deployed.ended(flow_run)

    execution = shop.ledger.executions.find("shop")
    assert execution.status is Status.SUCCEEDED, execution.reason
    assert execution.flow_run == str(flow_run)
    assert (ended.state_name, ended.name) == ("Completed", "shop #1")
    seen = deployed.seen(flow_run, tasks=3)
    assert seen.tasks == dict.fromkeys(
        ["Source / app", "Build / package", "Deliver / show"], "Completed"
    )


def test_a_run_begins_much_sooner_than_on_a_process_worker(
    warm: Pool, pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    pool.machine.more["PREFECT_WORKER_QUERY_SECONDS"] = "1"
    pool.work("prefect", "worker", "start", "-p", pool.name, "--type", "process")

    latencies: dict[str, list[float]] = {"warm": [], "stock, asking each second": []}
    for _ in range(3):
        for name, where in zip(latencies, (warm, pool), strict=True):
            run = where.ask(NOTED)
            latencies[name].append(run.note("begun")["time"] - run.created)
            assert run.ended().state_name == "Completed"

    with capsys.disabled():
        medians = {name: median(found) for name, found in latencies.items()}
        for name, found in medians.items():
            print(f"\nfrom scheduled to the first line: {found:.2f} s {name}", end="")
        ours, stock = medians.values()
        print(f"; {stock / ours:.1f} times sooner")


def test_a_run_has_the_environment_and_the_folder_of_its_job_variables(
    warm: Pool, tmp_path: Path
) -> None:
    run = warm.ask(
        NOTED, job={"env": {"TARGET": "berlin"}, "working_dir": str(tmp_path)}
    )
    other = warm.ask(NOTED)

    begun, plain = run.note("begun"), other.note("begun")
    assert begun["environment"]["TARGET"] == "berlin"
    assert begun["environment"]["PREFECT_API_URL"] == warm.machine.url
    assert begun["cwd"] == str(tmp_path)
    assert "TARGET" not in plain["environment"]
    assert run.ended().state_name == other.ended().state_name == "Completed"
    until(lambda: not Path(plain["cwd"]).exists(), "the end of its folder")


def test_settings_in_job_variables_count(warm: Pool) -> None:
    quiet, loud = (
        warm.ask(NOTED, job={"env": {"PREFECT_LOGGING_LEVEL": level}}).ended()
        for level in ("ERROR", "INFO")
    )

    assert quiet.state_name == loud.state_name == "Completed"
    until(lambda: "as you can see" in _logs(warm, loud.id), "the log of the later run")
    assert "as you can see" not in _logs(warm, quiet.id)


def _logs(pool: Pool, flow_run: UUID) -> list[str]:
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run]))
    return [log.message for log in pool.client.read_logs(wanted)]


def test_a_run_that_needs_an_interpreter_of_its_own_gets_one(
    warm: Pool, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['EARLY'] = 'yes'")
    path = f"{tmp_path}:{warm.machine.more['PYTHONPATH']}"

    run = warm.ask(NOTED, job={"env": {"PYTHONPATH": path}})

    assert run.note("begun")["environment"]["EARLY"] == "yes"
    assert run.ended().state_name == "Completed"


def test_code_that_fails_fails_its_run(warm: Pool) -> None:
    ended = warm.ask("worker_flows.broken").ended()

    assert ended.state_name == "Failed"
    assert ended.state and "as it was written" in (ended.state.message or "")


def test_a_cancelled_run_ends_with_all_it_started_and_calls_its_hooks(
    warm: Pool,
) -> None:
    run = warm.ask(NOTED, seconds=600)
    assert warm.worker
    assert run.process().parent() == warm.worker.forker

    run.cancel()

    assert run.ended().state_name == "Cancelled"
    run.nothing_is_left()
    hook = run.note("cancelled")
    assert hook["state"] == "Cancelling"
    assert hook["pid"] not in (run.note("begun")["pid"], warm.worker.process.pid)
    assert not run.noted("crashed")


def test_a_run_that_is_cancelled_before_it_has_a_process_is_cancelled(
    pool: Pool,
) -> None:
    run = pool.ask(NOTED, seconds=600)
    # As it is when a worker has taken it, and has begun no process for it yet.
    pool.client.set_flow_run_state(run.id, Pending(), force=True)
    taken = run.stands()
    run.cancel()
    assert run.stands().state_name == "Cancelling"

    async def begin() -> None:
        nursery = Nursery([*PRELOADED], pool.machine.environment)
        async with Runs(nursery, "worker") as runs:
            runs.cancel(run.id)
            folder = pool.machine.folder
            await runs.run(taken, Job(pool.machine.environment, folder), print)
        await nursery.close()

    assert pool.machine.url
    with temporary_settings({PREFECT_API_URL: pool.machine.url}):
        asyncio.run(begin())

    assert run.stands().state_name == "Cancelled"
    assert run.note("cancelled")["state"] == "Cancelling"
    assert not run.noted("begun")


def test_a_run_that_is_killed_has_crashed(warm: Pool) -> None:
    run = warm.ask(NOTED, seconds=600)

    run.process().kill()

    ended = run.ended()
    assert ended.state_name == "Crashed"
    assert ended.state and "-9" in (ended.state.message or "")
    assert run.note("crashed")["state"] == "Crashed"


def test_a_suspended_run_goes_on_in_another_process(warm: Pool) -> None:
    run = warm.ask("worker_flows.patient")
    first = run.note("before")["pid"]
    run.in_state("Suspended")

    warm.client.resume_flow_run(run.id)

    assert run.note("after")["pid"] != first
    assert run.ended().state_name == "Completed"


def test_a_run_that_is_resumed_too_early_waits_for_its_first_process(
    warm: Pool,
) -> None:
    run = warm.ask("worker_flows.patient", linger=True)
    run.in_state("Suspended")

    warm.client.resume_flow_run(run.id)
    assert warm.ask(NOTED).ended().state_name == "Completed"
    (warm.notes / "leave").touch()

    assert run.note("left")["time"] < run.note("after")["time"]
    assert run.ended().state_name == "Completed"


def test_no_more_runs_go_on_at_once_than_the_limit_allows(warm: Pool) -> None:
    runs = [warm.ask(NOTED, seconds=0.5) for _ in range(20)]

    assert Counter(run.ended().state_name for run in runs) == {"Completed": 20}
    times = [(run.note("begun")["time"], 1) for run in runs]
    times += [(run.note("ended")["time"], -1) for run in runs]
    at_once, most = 0, 0
    for _, change in sorted(times):
        at_once += change
        most = max(most, at_once)
    assert 1 < most <= 5


def test_a_worker_of_a_queue_leaves_other_queues_alone(pool: Pool) -> None:
    pool.work("deliver", "worker", pool.name, "--queue", "urgent")
    later, urgent = (pool.ask(NOTED, queue=name) for name in ("default", "urgent"))

    assert urgent.ended().state_name == "Completed"
    assert later.stands().state_name == "Scheduled"
