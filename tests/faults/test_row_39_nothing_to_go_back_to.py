"""Row 39: a release falls ill, and the one to go back to is ill as well.

It goes back one level and no further: the rollback fails, and a person decides. No
release is rolled back by itself twice, whatever is pushed meanwhile, how often and by
how many processes; only people deploy until the environment has cooled down.

pytest tests/faults/test_row_39_nothing_to_go_back_to.py -k "seed17-"
"""

import random
from pathlib import Path

import pytest
from projects import ENVIRONMENT, Project
from seeds import seeded

from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.rollouts import AUTOMATIC
from prefect_delivery.rollout import run as rollout_run

BACK = {"result": "rollback"}


class Ill(Project):
    """A project whose deployments fail for good once a certain one has failed.

    Attributes:
        where: `check`: the action after the deployment fails; `rollout`: the way into
            the environment does.
    """

    where: str

    @property
    def illness(self) -> Path:
        return self.folder.with_name("ill")

    def brings(self, greeting: str) -> None:
        well = f"test ! -e {self.illness}"
        spread = f"if grep -q bad dist/greeting; then touch {self.illness}; fi"
        check = {
            "uses": "test/commands",
            "inputs": "site",
            "run_order": 2,
            "with": {"commands": [spread, well]},
        }
        self.publish(
            greeting=greeting,
            after={"check": check},
            on_failure=BACK,
            hooks={"before": [well]} if self.where == "rollout" else None,
        )

    def push(self, greeting: str) -> Execution:
        """What a push does: an execution that nobody has asked for by hand."""
        self.brings(greeting)
        return self.run(self.start(trigger="push"))

    def automatic(self) -> list[Execution]:
        past = self.ledger.executions.list(limit=100)
        return [execution for execution in past if execution.trigger == AUTOMATIC]


@pytest.fixture
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ill:
    monkeypatch.setattr(rollout_run, "UNDO_PAUSE", 0.0)
    monkeypatch.setattr(Ill, "where", "check", raising=False)
    return Ill.at(tmp_path / "shop")


@seeded()
def test_it_goes_back_one_level_and_never_flaps(project: Ill, seed: str) -> None:
    chance = random.Random(seed)
    project.where = chance.choice(["check", "rollout"])
    levels = chance.randint(1, 3)
    for number in range(levels):
        good = project.push(f"good-{number}")
        assert good.status is Status.SUCCEEDED, good.reason

    bad = project.push("bad")
    for number in range(chance.randint(1, 3)):
        # Where nothing new is pushed, the same comes again.
        project.push(chance.choice(["bad", f"new-{number}"]))
    project.ledger = Ledger.open()

    assert bad.status is Status.FAILED
    [back] = project.automatic()
    assert (back.number, back.status) == (levels + 2, Status.FAILED), back.reason
    rollouts = project.ledger.rollouts.history(ENVIRONMENT)
    state = project.ledger.environments.get(ENVIRONMENT)
    if project.where == "check":
        # What was there before serves, ill or not: it is no worse than what came.
        assert project.served == f"good-{levels - 1}"
        assert state.locked is None
        [kept_out] = project.ledger.quarantine.list()
        assert (kept_out.automatic, kept_out.environment) == (True, ENVIRONMENT)
    else:
        assert project.served == "bad"
        assert state.locked and "ill" in state.locked
        assert [one.status for one in rollouts][:1] == ["rollback-failed"]
    assert [one.kind for one in rollouts] == ["rollback", *["forward"] * (levels + 1)]
    project.audit()
