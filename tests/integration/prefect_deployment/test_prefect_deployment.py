"""Environments of Prefect deployments: what is refused, what comes and goes."""

from pathlib import Path
from typing import Any

import pytest
from flow_shop import FLOWS, FlowShop

from prefect_delivery.blocks.prefect_deployment import PrefectDeploymentEnvironment
from prefect_delivery.errors import ActionFailed, LeaseLost, RolloutFailed
from prefect_delivery.ledger import Release
from prefect_delivery.rollout import roll_out


@pytest.fixture
def shop(prefect_server: None, home: Path, tmp_path: Path) -> FlowShop:
    return FlowShop(tmp_path)


def deploy(
    shop: FlowShop, target: PrefectDeploymentEnvironment, release: Release
) -> None:
    name = shop.environment
    roll_out(shop.ledger, target, name, release, execution_id="", log=print)


def flow(entrypoint: str, **more: Any) -> dict[str, Any]:
    return {"entrypoint": entrypoint, **more}


def test_a_release_that_does_not_fit_changes_nothing(shop: FlowShop) -> None:
    buy, sell = shop.flows
    wrong = {buy: flow("flows.py:bye"), "else": flow("flows.py:sell")}

    with pytest.raises(ActionFailed) as refused:
        shop.target(flows=wrong).prepare(shop.release("one"), 1)

    assert "flows.py:bye: " in refused.value.message
    assert f"flows.py:sell: the flow's name is '{sell}'" in refused.value.message
    assert shop.words() == [None, None]


def test_what_is_missing_or_of_somebody_else_is_named(shop: FlowShop) -> None:
    release = shop.release("one")
    with pytest.raises(ActionFailed, match="there is no work pool 'nowhere'") as pool:
        shop.target(pool="nowhere").prepare(release, 1)
    with shop.prefect() as client:
        theirs = client.create_flow_from_name(shop.flows[1])
        client.create_deployment(theirs, "live", work_pool_name=shop.name)

    with pytest.raises(ActionFailed, match="was not made here"):
        shop.target().prepare(release, 1)

    assert pool.value.hint == "prefect work-pool create nowhere --type process"
    assert not (shop.folder / "root" / "releases").exists()


def test_going_back_over_an_added_flow_removes_its_deployment(shop: FlowShop) -> None:
    buy, sell = shop.flows
    only_buy = shop.target(flows={buy: flow("flows.py:buy")})
    text = FLOWS.partition("@flow")[0] + "@flow" + FLOWS.split("@flow")[1]
    first = shop.release("one", text)
    deploy(shop, only_buy, first)
    failing = shop.target(hooks={"after": ["exit 3"]})

    with pytest.raises(RolloutFailed, match="exit code 3"):
        deploy(shop, failing, shop.release("two"))

    assert shop.words() == ["one", None]
    assert shop.target().observe() == first.digest
    deploy(shop, shop.target(), shop.release("three"))
    assert shop.words() == ["three", "three"]
    made = shop.deployment(sell)
    assert made and made.entrypoint == "flows.py:sell"


def test_a_lease_that_was_lost_changes_no_deployment(shop: FlowShop) -> None:
    target, one, two = shop.target(), shop.release("one"), shop.release("two")
    for release in (two, one):
        target.prepare(release, 7)
    target.shift(one, 100, 7)

    for verb in (target.prepare, target.commit, target.discard):
        with pytest.raises(LeaseLost):
            verb(two, 6)
    with pytest.raises(LeaseLost):
        target.shift(two, 100, 6)

    assert shop.words() == ["one", "one"]
