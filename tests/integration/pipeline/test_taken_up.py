"""Executions that nobody drives, and who takes them up."""

from pathlib import Path

import pytest
from projects import Project

from prefect_delivery import control
from prefect_delivery.cli.drive import go_on, stranded
from prefect_delivery.engine.state import Status
from prefect_delivery.errors import Refused


@pytest.fixture
def project(home: Path, tmp_path: Path) -> Project:
    return Project.at(tmp_path / "shop")


def test_what_was_approved_by_a_process_that_died_goes_on_with_the_next(
    project: Project,
) -> None:
    project.publish(gates={"approvers": ["bob"]})
    waiting = project.run()
    before = stranded(project.ledger, "shop")
    control.approve(project.ledger, "shop", by="bob")

    go_on(project.ledger, "shop", local=True)

    assert before == []
    assert project.ledger.executions.get(waiting.id).status is Status.SUCCEEDED
    project.audit()


def test_what_was_stopped_before_its_first_stage_is_retried(project: Project) -> None:
    execution = project.start()
    control.stop(project.ledger, "shop", by="ann", reason="not now")
    stopped = project.run(execution)

    again = control.retry(project.ledger, "shop", by="ann")
    ended = project.run(again)

    assert (stopped.status, stopped.stages) == (Status.STOPPED, {})
    assert (ended.id, ended.status) == (execution.id, Status.SUCCEEDED)
    with pytest.raises(Refused, match="has no failed stage to retry"):
        control.retry(project.ledger, "shop", by="ann")
    project.audit()


def test_what_was_stopped_between_two_stages_is_overtaken_by_a_newer_one(
    project: Project,
) -> None:
    older = project.start()
    control.stop(project.ledger, "shop", by="ann")
    project.run(older)
    project.publish(greeting="newer")
    assert project.run().status is Status.SUCCEEDED

    control.retry(project.ledger, "shop", older.number, by="ann")
    ended = project.run(older)

    assert ended.status is Status.SUPERSEDED
    assert project.served == "newer"
    project.audit()
