"""Jobs of custom actions: each is taken by one worker, and ends once."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.jobs import GIVEN_AGAIN, ActionType, JobStatus, WorkerJob

LINTER = ActionType(category="Build", provider="Linter", version="1")
Clock = list[datetime]


@pytest.fixture(autouse=True)
def offered(ledger: Ledger) -> None:
    offer(ledger, "one")


def offer(ledger: Ledger, id: str, **configuration: str) -> None:
    context = {
        "pipelineName": "shop",
        "stage": {"name": "Build"},
        "action": {"name": id},
    }
    data: dict[str, Any] = {
        "actionConfiguration": {"configuration": configuration},
        "pipelineContext": context,
    }
    ledger.jobs.offer(id, LINTER, data=data, access={"account": "1"})


def poll(ledger: Ledger, most: int = 1, **query: str) -> list[WorkerJob]:
    return ledger.jobs.poll(LINTER, most=most, query=query)


def taken(ledger: Ledger) -> WorkerJob:
    (job,) = poll(ledger)
    ledger.jobs.acknowledge(job.id, job.nonce or "", worker="ann")
    return job


def test_a_job_is_given_to_one_worker(ledger: Ledger) -> None:
    assert [job.id for job in poll(ledger)] == ["one"]
    assert poll(ledger) == []


def test_a_job_that_nobody_acknowledges_is_given_to_another_worker(
    ledger: Ledger, clock: Clock
) -> None:
    (first,) = poll(ledger)
    clock[0] += timedelta(seconds=GIVEN_AGAIN + 1)
    (second,) = poll(ledger)

    late = ledger.jobs.acknowledge("one", first.nonce or "", worker="late")
    status = ledger.jobs.acknowledge("one", second.nonce or "", worker="ann")

    assert late is None
    assert status is JobStatus.IN_PROGRESS
    found = ledger.jobs.find("one")
    assert found is not None
    assert found.worker == "ann"


def test_an_acknowledged_job_is_given_to_nobody_else(
    ledger: Ledger, clock: Clock
) -> None:
    job = taken(ledger)
    clock[0] += timedelta(days=1)

    again = ledger.jobs.acknowledge("one", job.nonce or "", worker="ann")

    assert poll(ledger) == []
    assert again is JobStatus.IN_PROGRESS


def test_a_query_finds_jobs_by_their_configuration(ledger: Ledger) -> None:
    offer(ledger, "two", Project="shop")

    assert [job.id for job in poll(ledger, 5, Project="shop")] == ["two"]
    assert poll(ledger, 5, Project="other") == []
    assert [job.id for job in poll(ledger, 5)] == ["one"]


def test_offering_a_job_again_changes_nothing(ledger: Ledger) -> None:
    taken(ledger)
    offer(ledger, "one")

    found = ledger.jobs.find("one")
    assert found is not None
    assert found.status is JobStatus.IN_PROGRESS


def test_a_job_goes_on_by_its_token(ledger: Ledger) -> None:
    taken(ledger)
    said = {"continuationToken": "later"}

    assert ledger.jobs.go_on("one", said)
    assert ledger.jobs.go_on("one", said)
    (job,) = poll(ledger)

    assert job.data["continuationToken"] == "later"
    assert not ledger.jobs.go_on("one", said)


def test_a_job_ends_once(ledger: Ledger) -> None:
    succeeded, failed = JobStatus.SUCCEEDED, JobStatus.FAILED
    assert not ledger.jobs.end("one", succeeded, result={}, by="ann")
    taken(ledger)

    assert ledger.jobs.end("one", succeeded, result={"a": 1}, by="ann")
    assert ledger.jobs.end("one", succeeded, result={"a": 1}, by="ann")
    assert not ledger.jobs.end("one", succeeded, result={"a": 2}, by="ann")
    assert not ledger.jobs.end("one", failed, by="shop")
    ledger.audit.verify()


def test_a_worker_that_was_heard_of_does_not_time_out(
    ledger: Ledger, clock: Clock
) -> None:
    taken(ledger)
    timed_out = JobStatus.TIMED_OUT
    clock[0] += timedelta(seconds=50)
    ledger.jobs.hear("one")
    clock[0] += timedelta(seconds=50)

    assert not ledger.jobs.end("one", timed_out, by="shop", silent=60)
    clock[0] += timedelta(seconds=50)
    assert ledger.jobs.end("one", timed_out, by="shop", silent=60)
