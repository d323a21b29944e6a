"""Runs that no worker takes up are named where people look."""

from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.states import Pending, Scheduled
from team import Team

from prefect_delivery.cli import waiting_runs


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOON", "BEGUN"):
        monkeypatch.setattr(waiting_runs, name, -1.0)


def test_a_run_that_nobody_takes_up_is_said_with_the_reason(
    team: Team, impatient: None
) -> None:
    team.write("form")
    team.deploy("form")
    run = team.ask("form")

    def said(pipeline: str | None = None) -> list[str]:
        return waiting_runs.waiting_runs(team.ledger, team.client, pipeline)

    (no_worker,) = said("form")
    team.client.set_flow_run_state(run.id, Pending(), force=True)
    team.client.update_work_pool(team.pool, WorkPoolUpdate(is_paused=True))
    (paused,) = said()

    name = f"form: the run '{run.name}' waits for 0 minutes,"
    assert no_worker == f"{name} no worker serves the work pool '{team.pool}'"
    assert paused == f"{name} the work pool '{team.pool}' is paused"
    assert said("other") == []


def test_status_and_doctor_tell_of_them_and_only_of_them(team: Team) -> None:
    team.write("form")
    team.deploy("form")
    fresh = team.deliver("status")
    past = datetime.now(UTC) - timedelta(minutes=7)
    team.client.create_flow_run_from_deployment(
        team.deployment("form").id, state=Scheduled(scheduled_time=past)
    )

    late, doctor = team.deliver("status"), team.deliver("doctor")

    assert (fresh.returncode, fresh.stderr) == (0, "")
    assert late.returncode == 0
    assert "waits for 7 minutes, no worker serves the work pool" in late.stderr
    assert "✗ waiting runs    form: the run" in doctor.stdout
