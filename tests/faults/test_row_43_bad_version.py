"""Row 43: a new version fails its health check at once, or passes it and dies later.

The first never gets traffic and may be tried again. The second is caught while it bakes,
taken back, and kept out until somebody lifts the quarantine.

pytest tests/faults/test_row_43_bad_version.py
"""

from typing import Any

import pytest
from auditor import audit
from host_shop import SERVICE, Shop, ask, quiet

from prefect_delivery.blocks import HostEnvironment, HttpCheck
from prefect_delivery.errors import Refused, RolloutFailed
from prefect_delivery.ledger import Release
from prefect_delivery.rollout import roll_out


def go(shop: Shop, host: HostEnvironment, release: Release, **more: Any) -> None:
    arguments = {"execution_id": "", "log": quiet, **more}
    roll_out(shop.ledger, host, shop.environment, release, **arguments)


@pytest.mark.parametrize("behaviour", ["broken", "sick"])
def test_a_version_that_is_bad_from_the_start_gets_no_traffic(
    shop: Shop, behaviour: str
) -> None:
    service = {**SERVICE, "ready": {"path": "/", "timeout": 10}}
    check = HttpCheck(url="/health", attempts=1)
    host = shop.host(service=service, checks=[check], strategy="blue-green")
    go(shop, host, shop.release("one"))
    bad = shop.release("two", behaviour)

    for _ in range(2):
        with pytest.raises(RolloutFailed):
            go(shop, host, bad)

    steps = shop.ledger.rollouts.history(shop.environment)[0].steps
    assert "shift" not in {step.verb for step in steps}
    assert ask(host) == "one"
    assert shop.ledger.quarantine.list() == []
    audit(shop.ledger, {shop.environment: host})


def test_a_version_that_dies_while_it_bakes_stays_out_until_it_is_lifted(
    shop: Shop,
) -> None:
    host, bad = shop.host(bake=0.02), shop.release("two", "mortal")
    go(shop, host, shop.release("one"))

    with pytest.raises(RolloutFailed, match="ended with code 9"):
        go(shop, host, bad)
    before = shop.ledger.rollouts.history(shop.environment)
    with pytest.raises(Refused, match=r"in quarantine: .* ended with code 9"):
        go(shop, host, bad)

    assert shop.ledger.rollouts.history(shop.environment) == before
    assert ask(host) == "one"
    shop.ledger.quarantine.lift(
        shop.environment, bad.digest, by="ann", reason="the machine was full"
    )
    go(shop, shop.host(), bad)
    assert shop.current() == bad.digest
