"""Row 13: one bit of a stored artifact changes, anywhere in the files that hold it.

Every byte is verified before it is used, so the deployment fails before it has any
effect, and names the artifact. The release before keeps serving. Storing the artifact
again heals it.

pytest tests/faults/test_row_13_artifact_damaged.py -k "seed17-"
"""

import random
from pathlib import Path

import pytest
from auditor import audit
from host_shop import Shop, ask, quiet
from seeds import seeded

from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.errors import RolloutFailed
from prefect_delivery.ledger import Release
from prefect_delivery.rollout import roll_out
from prefect_delivery.settings import settings


@seeded()
def test_a_damaged_artifact_is_not_deployed(shop: Shop, seed: str) -> None:
    chance = random.Random(seed)
    host, one = shop.host(), shop.release("one")
    into(shop, host, one)
    before = {*settings().artifacts.rglob("*")}
    two = shop.release("two")
    new = [p for p in {*settings().artifacts.rglob("*")} - before if p.is_file()]
    flip_a_bit(chance.choice(sorted(new)), chance)

    with pytest.raises(RolloutFailed, match=two.artifact.digest):
        into(shop, host, two)

    assert ask(host) == "one"
    assert host.observe() == one.digest == shop.current()
    steps = shop.ledger.rollouts.history(shop.environment)[0].steps
    assert [step.verb for step in steps if not step.verb.startswith("undo-")] == [
        "prepare"
    ]
    audit(shop.ledger, {shop.environment: host})

    shop.release("two")
    ArtifactStore(settings().artifacts).verify(two.artifact.digest)
    into(shop, host, two)
    assert ask(host) == "two"
    audit(shop.ledger, {shop.environment: host})


def into(shop: Shop, host: HostEnvironment, release: Release) -> None:
    roll_out(shop.ledger, host, shop.environment, release, execution_id="", log=quiet)


def flip_a_bit(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.chmod(0o600)
    path.write_bytes(content)
