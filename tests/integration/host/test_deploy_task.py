"""The task `deploy` in people's own flows, on a real Prefect server."""

from collections.abc import Callable
from pathlib import Path

import pytest
from host_shop import Shop
from prefect import flow, task
from prefect.transactions import transaction

from prefect_delivery.actions import Artifact, Job
from prefect_delivery.blocks import Hooks, HostEnvironment, find_environment
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Carried
from prefect_delivery.errors import ActionFailed, Refused
from prefect_delivery.tasks.deploy.environment import deploy

MakeHost = Callable[..., HostEnvironment]
pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def site(make_host: MakeHost) -> HostEnvironment:
    return make_host(service=None)


def artifact_of(shop: Shop, version: str) -> Artifact:
    made = shop.release(version).artifact
    return Artifact(digest=made.digest, size=made.size)


def shown(site: HostEnvironment) -> str:
    return (site.root / "current" / "version").read_text()


def start(shop: Shop, back_to: str | None = None) -> str:
    """Id of a new execution of a pipeline called shop, or of a rollback."""
    definition = Pipeline.model_validate(
        {"pipeline": "shop", "stages": {"Source": {"actions": {"a": {"uses": "a/b"}}}}}
    )
    return shop.ledger.executions.start(
        definition,
        variables={},
        started_by="ann",
        carried=Carried(execution=back_to) if back_to else None,
    ).id


@task
def fail_later() -> None:
    raise ValueError("the smoke test failed")


@flow
def deliver(artifact: Artifact, site: HostEnvironment | str, succeeds: bool) -> str:
    with transaction():
        made = deploy(artifact, site)
        if not succeeds:
            fail_later()
    return made.variables["previous"]


def test_a_flow_deploys_with_one_call(shop: Shop, site: HostEnvironment) -> None:
    previous = deliver(artifact_of(shop, "one"), site, succeeds=True)

    assert previous == ""
    assert shown(site) == "one"


def test_a_later_failure_in_the_transaction_takes_the_release_back(
    shop: Shop, site: HostEnvironment
) -> None:
    deliver(artifact_of(shop, "one"), site, succeeds=True)

    with pytest.raises(ValueError, match="smoke test"):
        deliver(artifact_of(shop, "two"), site, succeeds=False)

    assert shown(site) == "one"
    back, there, _ = shop.ledger.rollouts.history(site.name)
    assert (back.kind, back.status) == ("rollback", "committed")
    assert (back.release, back.previous) == (there.previous, there.release)


def test_a_deploy_that_fails_names_what_serves(
    shop: Shop, site: HostEnvironment
) -> None:
    deliver(artifact_of(shop, "one"), site, succeeds=True)
    broken = site.model_copy(update={"hooks": Hooks(after=["exit 3"])})

    with pytest.raises(ActionFailed, match=r"runs release \(.*exit code 3"):
        deliver(artifact_of(shop, "two"), broken, succeeds=True)

    assert shown(site) == "one"


def test_an_older_execution_never_replaces_a_newer_one(
    shop: Shop, site: HostEnvironment
) -> None:
    first, second = start(shop), start(shop)
    deploy.fn(artifact_of(shop, "two"), site, job=Job(execution=second))

    with pytest.raises(Refused, match="runs shop #2, which is newer than shop #1"):
        deploy.fn(artifact_of(shop, "one"), site, job=Job(execution=first))

    assert shown(site) == "two"


def test_an_execution_that_rolls_back_brings_the_same_release_back(
    shop: Shop, site: HostEnvironment
) -> None:
    made = start(shop)
    first = deploy.fn(artifact_of(shop, "one"), site, job=Job(execution=made))
    deploy.fn(artifact_of(shop, "two"), site, job=Job(execution=start(shop)))

    back = start(shop, back_to=made)
    again = deploy.fn(artifact_of(shop, "one"), site, job=Job(execution=back))

    assert shown(site) == "one"
    assert again.variables["release"] == first.variables["release"]
    latest = shop.ledger.rollouts.history(site.name)[0]
    assert (latest.kind, latest.execution_id) == ("rollback", back)


def test_a_saved_block_wins_over_the_definition(
    shop: Shop, site: HostEnvironment, tmp_path: Path
) -> None:
    site.save("shop-production", overwrite=True)
    inline = {"shop-production": {"kind": "host", "root": str(tmp_path / "other")}}

    found = find_environment("shop-production", inline)
    deliver(artifact_of(shop, "one"), "shop-production", succeeds=True)

    assert found.configuration() == site.configuration()
    assert shop.current("shop-production") == site.observe()
    assert shown(site) == "one"
