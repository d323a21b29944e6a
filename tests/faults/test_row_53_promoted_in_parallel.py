"""Row 53: one artifact goes into two environments at the same time, from two processes,
one of which may be killed.

The two are independent: each has its own lease and journal, and both end on the same
digest.

pytest tests/faults/test_row_53_promoted_in_parallel.py -k "seed17-"
"""

import random
from functools import partial

from auditor import audit
from host_shop import Shop, ask, quiet, stop_everything
from kill_points import kill_after
from processes import Child
from seeds import seeded

from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.ledger import Ledger, Release
from prefect_delivery.rollout import roll_out


@seeded()
def test_two_environments_get_the_same_artifact(shop: Shop, seed: str) -> None:
    chance = random.Random(seed)
    release = shop.release("one")
    hosts = {
        name: Shop(shop.folder / name).host() for name in ("staging", "production")
    }

    children = {
        name: Child(partial(into, name, host, release)) for name, host in hosts.items()
    }
    lost = chance.choice([None, "staging", "production"])
    if lost:
        kill_after(chance.uniform(0, 0.4), children.pop(lost))
    assert all(child.wait() == 0 for child in children.values())
    if lost:
        into(lost, hosts[lost], release)

    for name, host in hosts.items():
        assert host.observe() == release.digest
        assert ask(host) == "one"
        current = shop.ledger.releases.current(name)
        assert current and current.artifact == release.artifact
    audit(shop.ledger, {**hosts})
    for host in hosts.values():
        stop_everything(host)


def into(name: str, host: HostEnvironment, release: Release) -> None:
    roll_out(Ledger.open(), host, name, release, execution_id="", log=quiet)
