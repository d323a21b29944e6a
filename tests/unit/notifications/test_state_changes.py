"""Events as CodePipeline tells them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from prefect_delivery.definition import load
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.events import Event, Payload
from prefect_delivery.state_changes import state_change

WHEN = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
DEFINITION = """
pipeline: shop
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: https://git.example/shop}}
  Build:
    actions:
      make: {uses: build/codebuild, inputs: app, with: {project_name: shop}}
      own: {uses: invoke/python, with: {function: "a:b"}}
codepipeline: {declaration: {version: 4}}
"""


def event(name: str, stage: str | None = None, **said: Any) -> Event:
    execution = Execution(
        id="e1",
        pipeline="shop",
        number=42,
        definition=load(DEFINITION),
        status=Status.IN_PROGRESS,
        started=WHEN,
        started_by="ann",
    )
    return Event(
        id=UUID(int=7),
        name=name,
        occurred=WHEN,
        stage=stage,
        resource="prefect-delivery.execution.e1",
        title="shop #42",
        payload=Payload(text="", next=[], stage=stage, **said),
        related={},
        execution=execution,
    )


def test_a_pipeline_that_starts() -> None:
    found = state_change(event("pipeline.started"))

    assert found is not None
    assert found.kind == "CodePipeline Pipeline Execution State Change"
    assert found.detail == {
        "pipeline": "shop",
        "execution-id": "e1",
        "start-time": "2026-01-01T12:00:00.250Z",
        "execution-trigger": {
            "trigger-type": "StartPipelineExecution",
            "trigger-detail": "manual by ann",
        },
        "state": "STARTED",
        "version": 4.0,
        "pipeline-execution-attempt": 0.0,
    }


def test_an_action_that_fails() -> None:
    found = state_change(
        event("action.failed", "Build", action="make", reason="no tests", attempt=2)
    )

    assert found is not None
    assert found.kind == "CodePipeline Action Execution State Change"
    assert found.detail["stage"] == "Build"
    assert found.detail["action"] == "make"
    assert found.detail["state"] == "FAILED"
    assert found.detail["type"] == {
        "owner": "AWS",
        "provider": "CodeBuild",
        "category": "Build",
        "version": "1",
    }
    assert found.detail["execution-result"] == {
        "external-execution-summary": "no tests",
        "error-code": "JobFailed",
    }


def test_an_action_that_codepipeline_does_not_have_is_a_custom_one() -> None:
    found = state_change(event("action.started", "Build", action="own"))

    assert found is not None
    assert found.detail["type"] == {
        "owner": "Custom",
        "provider": "python",
        "category": "Invoke",
        "version": "1",
    }


@pytest.mark.parametrize(
    ("name", "said", "state"),
    [
        ("pipeline.stopping", {"reason": "enough"}, "STOPPING"),
        ("pipeline.stopped", {}, "STOPPED"),
        ("pipeline.superseded", {}, "SUPERSEDED"),
        ("pipeline.cancelled", {}, "CANCELED"),
        ("pipeline.resumed", {"by": "ann"}, "RESUMED"),
        ("pipeline.resumed", {}, None),
        ("pipeline.waiting", {}, None),
        ("stage.started", {"stage": "Build"}, "STARTED"),
        ("stage.resumed", {"stage": "Build"}, "RESUMED"),
        ("stage.skipped", {"stage": "Build"}, None),
        ("stage.superseded", {"stage": "Build"}, None),
        ("action.stopped", {"stage": "Build", "action": "make"}, "ABANDONED"),
        ("action.skipped", {"stage": "Build", "action": "make"}, None),
        ("action.failed", {"stage": "Build", "action": "before_entry:ready"}, None),
        ("approval.waiting", {"stage": "Build", "action": "make"}, None),
        ("rollout.started", {}, None),
    ],
)
def test_states(name: str, said: dict[str, str], state: str | None) -> None:
    found = state_change(event(name, **said))

    assert (found and found.detail["state"]) == state
