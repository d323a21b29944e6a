"""Whose environment a name means."""

from pathlib import Path

from repository import Shop

from prefect_delivery import control
from prefect_delivery.definition import load
from prefect_delivery.engine.state import Execution, Status

DEFINITION = """
pipeline: {pipeline}
environments:
  production: {{kind: host, root: {root}}}
stages:
  Source:
    actions:
      app: {{uses: source/git, with: {{url: {url}}}}}
  Production:
    actions:
      deploy: {{uses: deploy/environment, inputs: app, with: {{environment: production}}}}
"""


def delivered(shop: Shop, pipeline: str, root: Path) -> Execution:
    text = DEFINITION.format(pipeline=pipeline, root=root, url=shop.folder)
    ended = shop.drive(control.start(shop.ledger, load(text)), local=True)
    assert ended.status is Status.SUCCEEDED, ended.reason
    return ended


def test_environments_of_one_name_in_two_pipelines_are_two_targets(
    shop: Shop, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"

    delivered(shop, "first", one)
    delivered(shop, "second", two)

    names = [state.name for state in shop.ledger.environments.list()]
    assert names == ["first/production", "second/production"]
    assert shop.ledger.releases.previous("second/production") is None
    current = [(root / "current").readlink().name for root in (one, two)]
    recorded = [shop.ledger.environments.get(name).current for name in names]
    assert current == recorded
    assert current[0] != current[1]


def test_a_rollback_brings_the_release_before_back(shop: Shop, tmp_path: Path) -> None:
    root = tmp_path / "site"
    first = delivered(shop, "shop", root)
    (shop.folder / "new").touch()
    shop.define()
    second = delivered(shop, "shop", root)
    assert (root / "current" / "new").exists()

    started = control.rollback(shop.ledger, "shop", "Production", by="ann")
    ended = shop.drive(started, local=True)

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert list(ended.stages) == ["Production"]
    assert not (root / "current" / "new").exists()
    assert ended.carried and ended.carried.execution == first.id
    current = shop.ledger.releases.current("shop/production")
    assert current and current.number == first.number != second.number
