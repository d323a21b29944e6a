"""Row 55: Prefect, or an automation of it, marks the flow run of a finished execution as
Crashed, Failed, Cancelled or to be run again.

Prefect's states are a view. The ledger keeps what it says, nothing is set right that was
right, and nothing is deployed a second time, also when the flow run is carried out again.

pytest tests/faults/test_row_55_marked_crashed.py -k "seed17-"
"""

import random
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.states import AwaitingRetry, Cancelled, Crashed, Failed, Pending
from projects import ENVIRONMENT, Project
from seeds import seeded

from prefect_delivery.engine.state import Status
from prefect_delivery.errors import Refused
from prefect_delivery.flows.reconcile import set_right

STATES = [Crashed, Failed, Cancelled, AwaitingRetry, Pending]


@seeded()
def test_a_finished_execution_stays_finished(
    project: Project, prefect_server: None, seed: str
) -> None:
    chance = random.Random(seed)
    execution = project.start()
    ended = project.drive(execution, local=False)
    assert ended.status is Status.SUCCEEDED, ended.reason
    assert ended.flow_run

    with get_client(sync_client=True) as client:
        for make in chance.sample(STATES, chance.randint(1, 3)):
            client.set_flow_run_state(UUID(ended.flow_run), make(), force=True)
    set_right(project.ledger, print)
    try:
        again = project.drive(execution, local=chance.random() < 0.5)
    except Refused:
        again = project.ledger.executions.get(execution.id)

    assert again == ended
    assert len(project.ledger.rollouts.history(ENVIRONMENT)) == 1
    project.audit()
