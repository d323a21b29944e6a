"""The pipeline flow as a deployment that a stock process worker carries out."""

from pathlib import Path

import psutil
from deployed import Deployed, until
from prefect.states import AwaitingRetry
from repository import Shop

from prefect_delivery.engine.state import Status

FAILING = """
      package:
        uses: build/commands
        outputs: {site: ["dist/**"]}
        with: {commands: ["exit 3"]}
"""
ONCE_STUCK = """
      package:
        uses: build/commands
        outputs: {site: ["dist/**"]}
        with:
          commands:
            - if mkdir %(mark)s; then sleep 653; fi
            - mkdir dist
            - touch dist/greeting
"""


def test_a_deployed_run_delivers_what_its_parameters_say(
    deployed: Deployed, shop: Shop, home: Path
) -> None:
    flow_run = deployed.run(shop, home, variables={"greeting": "welcome"})

    ended = deployed.ended(flow_run)

    execution = shop.ledger.executions.find("shop")
    assert execution.status is Status.SUCCEEDED, execution.reason
    assert execution.variables == {"greeting": "welcome"}
    assert execution.flow_run == str(flow_run)
    assert (ended.state_name, ended.name) == ("Completed", "shop #1")
    assert {"delivery", "pipeline:shop"} <= set(ended.tags)
    seen = deployed.seen(flow_run, tasks=3)
    assert seen.tasks == dict.fromkeys(
        ["Source / app", "Build / package", "Deliver / show"], "Completed"
    )
    assert "succeeded" in seen.page


def test_a_deployed_run_whose_pipeline_fails_has_failed(
    deployed: Deployed, shop: Shop, home: Path
) -> None:
    shop.define(FAILING)

    ended = deployed.ended(deployed.run(shop, home))

    assert (ended.state_name, ended.name) == ("Failed", "shop #1")
    assert ended.state and "exit 3" in (ended.state.message or "")
    assert shop.ledger.executions.find("shop").status is Status.FAILED


def test_a_run_that_is_entered_again_carries_on_its_execution(
    deployed: Deployed, shop: Shop, home: Path, tmp_path: Path
) -> None:
    shop.define(ONCE_STUCK % {"mark": tmp_path / "mark"})
    flow_run = deployed.run(shop, home)
    until((tmp_path / "mark").exists, "the build")
    begun = shop.ledger.executions.find("shop")
    owner = shop.ledger.executions.owner(begun.id)
    assert owner is not None
    psutil.Process(int(owner.holder.split(":")[3])).kill()
    deployed.ended(flow_run)

    deployed.client.set_flow_run_state(flow_run, AwaitingRetry(), force=True)

    until(lambda: deployed.ended(flow_run).state_name == "Completed", "the retry")
    (execution,) = shop.ledger.executions.list()
    assert execution.id == begun.id
    assert execution.status is Status.SUCCEEDED, execution.reason


def test_a_definition_that_is_wrong_fails_and_says_where(
    deployed: Deployed, shop: Shop, home: Path
) -> None:
    shop.define("      package: {uses: build/comands}")

    ended = deployed.ended(deployed.run(shop, home))

    assert ended.state_name == "Failed"
    assert ended.state and "build/comands" in (ended.state.message or "")
    assert shop.ledger.executions.list() == []


def test_the_parameters_are_a_form_that_explains_itself(deployed: Deployed) -> None:
    name = f"pipeline/{deployed.pool}"

    schema = deployed.client.read_deployment_by_name(name).parameter_openapi_schema

    assert schema is not None
    fields = schema["properties"]
    assert list(fields) == [
        "definition",
        "variables",
        "revisions",
        "trigger",
        "started_by",
        "execution_id",
    ]
    for field in fields.values():
        assert field["title"] and field["description"], field
    assert schema.get("required", []) == []
