"""Rollbacks of stages over real environments."""

from pathlib import Path

import pytest
from auditor import audit
from repository import Shop

from prefect_delivery import control
from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.definition import load
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import Refused

CHAIN = """
pipeline: chain
environments:
  staging: {{kind: host, root: {folder}/staging}}
  production: {{kind: host, root: {folder}/{production}, hooks: {{before: [test ! -e {folder}/wall]}}}}
stages:
  Source:
    actions:
      app: {{uses: source/git, with: {{url: {url}}}}}
  Staging:
    actions:
      deploy: {{uses: deploy/environment, inputs: app, with: {{environment: staging}}}}
  Production:
    actions:
      deploy: {{uses: deploy/environment, inputs: app, with: {{environment: production}}}}
"""


class Chain:
    """A pipeline with two environments, one after the other."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop, self.folder, self.ledger = shop, folder, shop.ledger
        self.place = "production"

    @property
    def definition(self) -> Pipeline:
        url, place = self.shop.folder, self.place
        return load(CHAIN.format(folder=self.folder, url=url, production=place))

    def deliver(self, *versions: str) -> None:
        for version in versions:
            (self.shop.folder / "version").write_text(version)
            self.shop.define()
            ended = self.drive(control.start(self.ledger, self.definition))
            assert ended.status is Status.SUCCEEDED, ended.reason

    def drive(self, execution: Execution) -> Execution:
        return self.shop.drive(execution, local=True)

    def back(self, *stages: str, to: int | None = None) -> Execution:
        started = control.rollback(self.ledger, "chain", *stages, to=to, by="bob")
        return self.drive(started)

    def host(self, name: str) -> HostEnvironment:
        return HostEnvironment(root=self.folder / name)

    def runs(self, name: str) -> str:
        return (self.folder / name / "current" / "version").read_text()

    def audit(self) -> None:
        hosts = {"staging": "staging", "production": self.place}
        audit(self.ledger, {f"chain/{n}": self.host(p) for n, p in hosts.items()})


@pytest.fixture
def chain(shop: Shop, tmp_path: Path) -> Chain:
    return Chain(shop, tmp_path)


def test_stages_go_back_one_after_the_other_the_last_first(chain: Chain) -> None:
    chain.deliver("one", "two", "three")

    ended = chain.back("Staging", "Production", to=1)

    assert (ended.status, ended.only) == (Status.SUCCEEDED, ("Production", "Staging"))
    assert [*ended.stages] == ["Production", "Staging"]
    assert {chain.runs("staging"), chain.runs("production")} == {"one"}
    rollouts = chain.ledger.rollouts.of_execution(ended.id)
    assert [r.environment for r in rollouts] == ["chain/production", "chain/staging"]
    assert rollouts[0].closed and rollouts[0].closed <= rollouts[1].opened
    assert {q.environment for q in chain.ledger.quarantine.list()} == {
        "chain/production",
        "chain/staging",
    }
    chain.audit()


def test_where_the_last_one_cannot_go_back_the_ones_before_stay(chain: Chain) -> None:
    chain.deliver("one", "two")
    (chain.folder / "wall").touch()

    ended = chain.back("Staging", "Production")

    assert ended.status is Status.FAILED
    assert [*ended.stages] == ["Production"]
    assert {chain.runs("staging"), chain.runs("production")} == {"two"}
    assert chain.ledger.environments.get("production").locked
    assert chain.ledger.environments.get("staging").locked is None
    chain.audit()


def test_stages_go_back_only_to_what_succeeded_in_all_of_them(chain: Chain) -> None:
    chain.deliver("one")
    (chain.folder / "wall").touch()
    (chain.shop.folder / "version").write_text("two")
    chain.shop.define()
    half = chain.drive(control.start(chain.ledger, chain.definition))
    (chain.folder / "wall").unlink()

    with pytest.raises(
        Refused, match="stages 'Staging', 'Production' of chain did not"
    ):
        chain.back("Staging", "Production", to=half.number)
    ended = chain.back("Staging", "Production", to=1)

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert {chain.runs("staging"), chain.runs("production")} == {"one"}
    chain.audit()


def test_a_rollback_finds_an_environment_that_has_moved(chain: Chain) -> None:
    chain.deliver("one")
    chain.place = "elsewhere"
    chain.deliver("two")

    ended = chain.back("Production")

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert chain.runs("elsewhere") == "one"
    assert any("has moved since" in line for line in chain.shop.lines)
    chain.audit()


def test_what_was_changed_by_hand_is_set_right_by_the_next_rollout(
    chain: Chain,
) -> None:
    chain.deliver("one", "two")
    link = chain.folder / "production" / "current"
    older = next(
        folder
        for folder in (chain.folder / "production" / "releases").iterdir()
        if (folder / "version").read_text() == "one"
    )
    link.unlink()
    link.symlink_to(older)

    with pytest.raises(AssertionError, match="I3: chain/production runs"):
        chain.audit()
    again = chain.drive(control.start(chain.ledger, chain.definition))

    assert again.status is Status.SUCCEEDED, again.reason
    assert chain.runs("production") == "two"
    chain.audit()
