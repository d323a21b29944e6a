"""Whole executions on a real repository, without a server and with Prefect's engine."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas import FlowRun, TaskRun
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import Artifact
from repository import Shop

from prefect_delivery import control
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import Refused
from prefect_delivery.flows.pipeline import pipeline
from prefect_delivery.ledger import Ledger

Run = Callable[..., Execution]
_ONE_COMMAND = """
      package:
        uses: build/commands
        outputs: {site: ["dist/**"]}
        with: {commands: ["%s"]}
"""


def test_a_commit_goes_through_all_stages(run: Run, shop: Shop) -> None:
    ended = run()

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert f"Deliver / show: hello from {shop.git('rev-parse', 'HEAD')}" in shop.lines
    assert ended.revisions == {"app": shop.git("rev-parse", "HEAD")}


def test_a_variable_of_the_start_wins_over_its_default(run: Run, shop: Shop) -> None:
    ended = run(variables={"greeting": "welcome"})

    assert ended.variables == {"greeting": "welcome"}
    assert any(line.startswith("Deliver / show: welcome") for line in shop.lines)


def test_a_source_can_be_pinned_to_an_older_commit(run: Run, shop: Shop) -> None:
    old = shop.git("rev-parse", "HEAD")
    shop.define()

    ended = run(revisions={"app": old})

    assert ended.stages["Source"].actions["app"][0].variables["commit"] == old


def test_a_failing_command_fails_its_stage_and_nothing_later_starts(
    run: Run, shop: Shop
) -> None:
    shop.define(_ONE_COMMAND % "exit 3")

    ended = run()

    assert ended.status is Status.FAILED
    assert "exit 3" in (ended.reason or "")
    assert "Deliver" not in ended.stages


def test_a_retry_goes_on_from_the_failed_action_under_the_same_number(
    run: Run, shop: Shop, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    shop.define(f"""
      package:
        uses: build/commands
        with: {{commands: ['test -e {there}', mkdir dist, touch dist/greeting]}}
        outputs: {{site: ["dist/**"]}}
""")
    failed = run()
    there.touch()

    reopened = control.retry(shop.ledger, "shop", by="ann")
    ended = run(reopened)

    assert failed.status is Status.FAILED
    assert (ended.status, ended.number) == (Status.SUCCEEDED, failed.number)
    attempts = {name: len(ended.stages[s].actions[name]) for s, name in _ACTIONS}
    assert attempts == {"app": 1, "package": 2, "show": 1}


_ACTIONS = [("Source", "app"), ("Build", "package"), ("Deliver", "show")]


def test_a_flaky_action_is_tried_again_by_itself(
    run: Run, shop: Shop, tmp_path: Path
) -> None:
    counter = tmp_path / "counter"
    shop.define(f"""
      package:
        uses: build/commands
        retry: {{attempts: 3, delay: 0}}
        with:
          commands:
            - echo x >> {counter}
            - test "$(wc -l < {counter})" -ge 3
            - mkdir dist
            - touch dist/greeting
        outputs: {{site: ["dist/**"]}}
""")

    ended = run()

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert [run.status for run in ended.stages["Build"].actions["package"]] == [
        Status.FAILED,
        Status.FAILED,
        Status.SUCCEEDED,
    ]


def test_actions_of_one_run_order_run_side_by_side(
    run: Run, shop: Shop, tmp_path: Path
) -> None:
    # Each waits for the file that the other makes: one after the other never ends.
    wait = "until test -e {there}; do sleep 0.05; done"
    one, two = tmp_path / "one", tmp_path / "two"
    shop.define(f"""
      package:
        uses: build/commands
        timeout: 1
        with: {{commands: ['touch {one}', '{wait.format(there=two)}', mkdir dist, touch dist/greeting]}}
        outputs: {{site: ["dist/**"]}}
      other:
        uses: build/commands
        timeout: 1
        with: {{commands: ['touch {two}', '{wait.format(there=one)}']}}
""")

    assert run().status is Status.SUCCEEDED


def test_an_approval_waits_and_the_decision_goes_on(run: Run, shop: Shop) -> None:
    shop.define(f"""
      sure: {{uses: approval/manual, with: {{message: "ship it?"}}}}
{_LATER}
""")

    waiting = run()
    with pytest.raises(Refused, match="waits for no decision"):
        control.approve(shop.ledger, "shop", by="bob", action="show")
    control.approve(shop.ledger, "shop", by="bob", comment="looks good")
    ended = run(waiting)

    assert waiting.status is Status.WAITING
    assert ended.status is Status.SUCCEEDED, ended.reason
    with pytest.raises(Refused):
        control.approve(shop.ledger, "shop", by="eve")


_LATER = """
      package:
        uses: build/commands
        run_order: 2
        with: {commands: [mkdir dist, touch dist/greeting]}
        outputs: {site: ["dist/**"]}
"""


def test_a_rejection_fails_the_execution_and_says_who(run: Run, shop: Shop) -> None:
    shop.define(f"      sure: {{uses: approval/manual}}\n{_LATER}")
    waiting = run()

    control.reject(shop.ledger, "shop", by="bob", comment="too late today")
    ended = run(waiting)

    assert ended.status is Status.FAILED
    assert "bob" in (ended.reason or "") and "too late today" in (ended.reason or "")


def test_a_definition_that_changes_disturbs_no_running_execution(
    run: Run, shop: Shop
) -> None:
    started = shop.start()
    shop.define(_ONE_COMMAND % "exit 1")

    assert run(started).status is Status.SUCCEEDED


def test_an_action_over_its_time_is_ended(run: Run, shop: Shop) -> None:
    shop.define(_ONE_COMMAND % "sleep 600" + "        timeout: 0.005")

    ended = run()

    assert ended.status is Status.FAILED
    assert "timed out after 0.005 min" in (ended.reason or "")


def test_a_stopped_execution_ends_what_runs(run: Run, shop: Shop) -> None:
    shop.define(_ONE_COMMAND % "sleep 600")
    started = shop.start()
    shop.ledger.executions.request_stop(
        started.id, by="ann", reason="wrong branch", abandon=True
    )

    ended = run(started)

    assert ended.status is Status.STOPPED
    assert ended.reason == "stopped by ann: wrong branch"


def test_prefect_shows_the_execution_by_its_own_names(
    prefect_server: None, shop: Shop
) -> None:
    execution = shop.start()
    shop.drive(execution, local=False)

    flow_run, tasks, page = _seen_by_prefect(execution)

    assert flow_run.name == "shop #1"
    assert flow_run.state_name == "Completed"
    assert {"delivery", "pipeline:shop"} <= set(flow_run.tags)
    assert {task.name for task in tasks} == {
        "Source / app",
        "Build / package",
        "Deliver / show",
    }
    assert page.description == "shop #1"
    assert "data:image/svg+xml" in str(page.data)


def test_a_failed_execution_is_a_failed_flow_run(
    prefect_server: None, shop: Shop
) -> None:
    shop.define(_ONE_COMMAND % "exit 3")
    execution = shop.start()
    shop.drive(execution, local=False)

    flow_run, _, page = _seen_by_prefect(execution)

    assert flow_run.state_name == "Failed"
    assert flow_run.state and "exit 3" in (flow_run.state.message or "")
    assert "exit 3" in str(page.data)


async def _run_in_python(definition: str) -> dict[str, object]:
    return await pipeline(definition)


def test_the_flow_is_called_from_python_like_any_other(
    prefect_server: None, shop: Shop
) -> None:
    result = asyncio.run(_run_in_python(str(shop.folder / "delivery.yaml")))

    assert (result["title"], result["status"]) == ("shop #1", "succeeded")


def _seen_by_prefect(
    execution: Execution,
) -> tuple[FlowRun, list[TaskRun], Artifact]:
    """The flow run, its task runs and its page, once Prefect's server has them all."""
    flow_run_id = Ledger.open().executions.get(execution.id).flow_run
    assert flow_run_id is not None
    only = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    actions = sum(len(stage.actions) for stage in _last(execution).stages.values())
    with get_client(sync_client=True) as client:
        tasks = client.read_task_runs(flow_run_filter=only)
        deadline = time.monotonic() + 60
        # Prefect's server records task runs some time after they have ended.
        while len(tasks) < actions and time.monotonic() < deadline:
            time.sleep(0.2)
            tasks = client.read_task_runs(flow_run_filter=only)
        flow_run = client.read_flow_run(UUID(flow_run_id))
        key = ArtifactFilter(key=ArtifactFilterKey(any_=["delivery-shop"]))
        (page,) = client.read_artifacts(artifact_filter=key, flow_run_filter=only)
    return flow_run, tasks, page


def _last(execution: Execution) -> Execution:
    return Ledger.open().executions.get(execution.id)
