"""The ledger over both databases as state machines, against small models.

DELIVERY_FAULT_SEEDS=100 takes more examples, as `make faults` does.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from lease_machine import LeaseMachine, OpenLedger
from seeds import SEEDS
from stage_machine import StageMachine

from prefect_delivery.ledger import Ledger


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("machine", [LeaseMachine, StageMachine])
def test_the_ledger_does_in_any_order_what_the_model_does(
    machine: Callable[[OpenLedger], RuleBasedStateMachine],
    new_ledger: Callable[[], str],
) -> None:
    def made() -> Any:
        url = new_ledger()
        return machine(lambda now: Ledger(url, now=now))

    examples = settings(
        max_examples=2 * SEEDS, stateful_step_count=30, deadline=None, database=None
    )
    run_state_machine_as_test(made, settings=examples)  # type: ignore[arg-type]
