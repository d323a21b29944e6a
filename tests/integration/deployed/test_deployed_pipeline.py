"""The pipeline flow as a deployment that a stock process worker carries out."""

from pathlib import Path

from deployed import Deployed
from repository import Shop

from prefect_delivery.engine.state import Status


def test_a_deployed_run_delivers_what_its_parameters_say(
    deployed: Deployed, shop: Shop, home: Path
) -> None:
    flow_run = deployed.run(shop, home, variables={"greeting": "welcome"})

    seen = deployed.ended(flow_run)

    execution = shop.ledger.executions.find("shop")
    assert seen.state_name == "Completed", seen.state
    assert execution.status is Status.SUCCEEDED
