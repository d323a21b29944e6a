"""A team's installation as plain processes: it works, and parts of it may be killed."""

import json
from pathlib import Path

import pytest
from deployed import until
from installation import Installation
from load import ask, deploy, sampled, states
from prefect.states import Crashed

from prefect_delivery.engine.state import Status

# What takes so long to start is started once, also where tests run side by side.
pytestmark = pytest.mark.xdist_group("team")


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

    team.kill("api-1")
    team.redis.kill()
    team.kill("worker-1")
    # Without Redis, the API answers to no request that tells of an event.
    team.redis.start()
    ask(team, deployment, 2)
    go.touch()
    executions = team.ended("killed", 8)

    # Those of the killed worker say that they were stopped, and a retry goes on.
    for each in executions:
        if each.status is not Status.SUCCEEDED:
            assert each.status is Status.STOPPED, each.reason
            assert each.reason == "its process was told to end"
            done = team.call("deliver", "retry", "killed", str(each.number), "--local")
            assert done.returncode == 0, done.stdout + done.stderr
    ended = team.ended("killed", 8)
    assert [each.status for each in ended] == [Status.SUCCEEDED] * 8
    with team.ledger() as ledger:
        ledger.audit.verify()
    until(team.works, "the installation", every=1)
    assert wrong(team) == set()
