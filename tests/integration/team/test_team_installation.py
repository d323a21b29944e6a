"""A team's installation as plain processes: it works, and parts of it may be killed."""

import json
from pathlib import Path

from deployed import until
from installation import Installation
from load import ask, deploy, sampled, states
from prefect.states import Crashed

from prefect_delivery.engine.state import Status
from prefect_delivery.holder import is_dead


def checks(team: Installation, **more: str) -> dict[str, dict[str, object]]:
    """What `deliver doctor` finds, by name."""
    done = team.call("deliver", "doctor", "-o", "json", more=more)
    found = {each["name"]: each for each in json.loads(done.stdout)}
    wrong = any(each["required"] and not each["ok"] for each in found.values())
    assert done.returncode == (1 if wrong else 0)
    return found


def wrong(team: Installation, **more: str) -> set[str]:
    """Names of the required things that `deliver doctor` finds wrong."""
    found = checks(team, **more)
    assert all(each["remedy"] for each in found.values() if not each["ok"])
    return {name for name, each in found.items() if each["required"] and not each["ok"]}


def owners(team: Installation, pipeline: str) -> dict[str, str]:
    """Which process drives which execution."""
    with team.ledger() as ledger:
        return {
            each.id: owner.holder
            for each in ledger.executions.list(pipeline)
            if (owner := ledger.executions.owner(each.id))
        }


def driven_by(holders: dict[str, str], processes: set[int]) -> set[str]:
    """The executions that one of these processes drives."""
    return {
        execution
        for execution, holder in holders.items()
        if int(holder.split(":")[3]) in processes
    }


def test_many_executions_at_once_end_right_within_bounds(
    team: Installation, tmp_path: Path
) -> None:
    deployment = deploy(team, tmp_path / "app", "many")

    with sampled(team) as samples:
        runs = ask(team, deployment, 12)
        executions = team.ended("many", 12)

    assert [each.status for each in executions] == [Status.SUCCEEDED] * 12
    until(lambda: states(team, runs) == {"Completed": 12}, "the states", every=0.5)
    # Twenty of each replica and of the services; of the ledger five of each process.
    assert samples.connections("prefect") <= 60
    assert samples.connections("delivery") <= 12 * 5 + 5
    assert samples.runs() <= 12


def test_doctor_finds_what_is_wrong_and_nothing_else(
    team: Installation, tmp_path: Path
) -> None:
    deploy(team, tmp_path / "app", "sound")

    assert wrong(team) == set()
    assert wrong(team, PREFECT_DELIVERY_LEDGER_URL=f"sqlite:///{tmp_path}/l.db") == {
        "shared ledger"
    }
    assert wrong(team, PREFECT_REDIS_MESSAGING_URL="redis://127.0.0.1:1/0") == {
        "messaging"
    }


def test_a_run_that_crashed_before_it_began_is_carried_out(
    team: Installation, tmp_path: Path
) -> None:
    deployment = deploy(team, tmp_path / "app", "rush")
    # What a worker says when Prefect's server fails the first request of a run.
    with team.client as client:
        client.create_flow_run_from_deployment(deployment, state=Crashed())

    team.call("deliver", "reconcile")

    (execution,) = team.ended("rush", 1)
    assert execution.status is Status.SUCCEEDED


def test_a_replica_a_worker_and_redis_are_killed_and_nothing_is_lost(
    team: Installation, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    (tmp_path / "begun").mkdir()
    wait = f"touch {tmp_path}/begun/$$; until test -e {go}; do sleep 0.2; done"
    deployment = deploy(team, tmp_path / "app", "killed", wait)
    ask(team, deployment, 6)
    until(lambda: len([*(tmp_path / "begun").iterdir()]) == 6, "six builds")

    before = owners(team, "killed")
    worker, lost = next(
        (name, gone)
        for name, processes in team.processes().items()
        if name.startswith("worker")
        and (gone := driven_by(before, {each.pid for each in processes}))
    )

    def taken_over() -> bool:
        # What Prefect asks of a worker each minute.
        team.call("deliver", "reconcile")
        now = owners(team, "killed")
        return all(now.get(each) != before[each] for each in lost)

    team.kill("api-1")
    team.redis.kill()
    team.kill(worker)
    until(lambda: all(is_dead(before[each]) for each in lost), "the end of its runs")
    # Without Redis, the API answers to no request that tells of an event.
    team.redis.start()
    ask(team, deployment, 2)
    go.touch()
    until(taken_over, "the takeover", every=1)
    executions = team.ended("killed", 8)

    assert [each.status for each in executions] == [Status.SUCCEEDED] * 8
    # What was lost was carried on where it stood.
    for each in executions:
        builds = each.stages["Build"].actions["package"]
        assert [build.attempt for build in builds] == [1]
    with team.ledger() as ledger:
        ledger.audit.verify()
    until(team.works, "the installation", every=1)
    assert wrong(team) == set()
