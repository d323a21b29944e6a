"""Deployed runs that wait are suspended, and go on when they can, on a `delivery` worker."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from deployed import Deployed, Machine, Server, deploy, until
from prefect.states import Suspended
from repository import Shop

from prefect_delivery import control
from prefect_delivery.definition import load
from prefect_delivery.deployments.keeping import RECONCILE, keep
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.ledger import never

AT_ONCE = {"PREFECT_DELIVERY_SUSPEND_AFTER": "0", "PREFECT_DELIVERY_LEASE": "2"}
MANY = int(os.environ.get("DELIVERY_WAITING", "40"))
"""Executions that wait at once; 1000 is what is promised."""
ASKING = """
      package:
        uses: build/commands
        outputs: {site: ["dist/**"]}
        with: {commands: [mkdir dist, touch dist/greeting]}
      sure: {uses: approval/manual, run_order: 2, with: {message: "sure?"%(more)s}}
"""
GATED = """
pipeline: %s
stages:
  Source: {actions: {app: {uses: source/git, with: {url: .}}}}
  Gate: {actions: {sure: {uses: approval/manual}}}
"""


@pytest.fixture(scope="module")
def waiting(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """A worker whose runs are suspended as soon as they wait."""
    machine = Machine(tmp_path_factory.mktemp("waiting"), server.url, dict(AT_ONCE))
    with deploy(machine, "waiting", "delivery") as made:
        yield made


def suspended(deployed: Deployed, flow_run: UUID) -> bool:
    state = deployed.client.read_flow_run(flow_run).state
    return state is not None and state.name == "Suspended"


def ask(deployed: Deployed, shop: Shop, home: Path, more: str = "") -> UUID:
    """A run that waits for an approval, suspended."""
    shop.define(ASKING % {"more": more})
    flow_run = deployed.run(shop, home)
    until(lambda: suspended(deployed, flow_run), "the suspension")
    return flow_run


def reconciled(machine: Machine, deployed: Deployed, flow_run: UUID) -> bool:
    """What happens each minute; says whether the run has completed."""
    machine.call("deliver", "reconcile")
    state = deployed.client.read_flow_run(flow_run).state
    return state is not None and state.name == "Completed"


def only(shop: Shop) -> Execution:
    (execution,) = shop.ledger.executions.list("shop")
    return execution


def test_a_run_that_waits_for_approval_holds_nothing_and_goes_on(
    waiting: Deployed, shop: Shop, home: Path, machine: Machine
) -> None:
    flow_run = ask(waiting, shop, home)

    execution = only(shop)
    assert (execution.status, execution.deployed) == (Status.WAITING, True)
    assert shop.ledger.executions.owner(execution.id) is None
    early = machine.call("deliver", "reconcile")
    assert early.stdout.strip() == "nothing to set right", early.stderr
    assert suspended(waiting, flow_run)

    told = machine.call("deliver", "approve", "shop", "-m", "fine")

    assert told.returncode == 0, told.stderr
    assert waiting.ended(flow_run).state_name == "Completed"
    assert only(shop).status is Status.SUCCEEDED
    runs = shop.ledger.executions.find("shop").stages["Build"].actions
    assert len(runs["package"]) == 1, "what was done is not done again"


def test_the_next_execution_waits_suspended_for_its_stage(
    waiting: Deployed, shop: Shop, home: Path, machine: Machine
) -> None:
    first = ask(waiting, shop, home)
    second = waiting.run(shop, home)
    until(lambda: suspended(waiting, second), "the second suspension")

    control.reject(shop.ledger, "shop", 1, by="bob")
    machine.call("deliver", "reconcile")

    assert waiting.ended(first).state_name == "Failed"
    # The first one woke the second when it left the stage; it now asks by itself.
    until(
        lambda: control.waiting_actions(shop.ledger.executions.find("shop", 2)),
        "the second question",
    )
    control.stop(shop.ledger, "shop", 2, by="bob", abandon=True)
    machine.call("deliver", "reconcile")
    assert waiting.ended(second).state_name == "Cancelled"


def test_an_answer_in_the_ui_counts_only_where_anonymous_ones_do(
    waiting: Deployed, shop: Shop, home: Path, machine: Machine
) -> None:
    flow_run = ask(waiting, shop, home)

    empty = waiting.client.resume_flow_run(flow_run)
    assert empty.status != "ACCEPT"
    waiting.client.resume_flow_run(flow_run, run_input={"decision": "approve"})
    until(
        lambda: any(entry.verb == "refuse" for entry in shop.ledger.audit.entries()),
        "the refusal",
    )
    until(lambda: suspended(waiting, flow_run), "the next suspension")
    assert only(shop).status is Status.WAITING
    machine.call("deliver", "stop", "shop", "1")
    assert waiting.ended(flow_run).state_name == "Cancelled"


def test_an_anonymous_answer_counts_where_it_is_allowed(
    waiting: Deployed, shop: Shop, home: Path
) -> None:
    flow_run = ask(waiting, shop, home, ", anonymous: true")

    answer = {"decision": "approve", "comment": "from the UI"}
    waiting.client.resume_flow_run(flow_run, run_input=answer)

    assert waiting.ended(flow_run).state_name == "Completed"
    [sure] = only(shop).stages["Build"].actions["sure"]
    assert sure.summary == "approved by anonymous: from the UI"


def test_what_prefect_gave_up_is_closed(
    waiting: Deployed, shop: Shop, home: Path, machine: Machine
) -> None:
    flow_run = ask(waiting, shop, home)

    waiting.cancel(flow_run)
    waiting.ended(flow_run)
    machine.call("deliver", "reconcile")

    assert only(shop).status is Status.STOPPED
    assert "cancelled" in (only(shop).reason or "")


def test_a_run_that_lost_its_process_is_carried_out_again(
    waiting: Deployed, shop: Shop, home: Path, machine: Machine, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    shop.define(
        f"""
      package:
        uses: build/commands
        outputs: {{site: ["dist/**"]}}
        with:
          commands:
            - if mkdir {mark}; then sleep 654; fi
            - mkdir dist
            - touch dist/greeting
"""
    )
    flow_run = waiting.run(shop, home)
    until(mark.exists, "the build")
    owner = shop.ledger.executions.owner(only(shop).id)
    assert owner is not None
    psutil.Process(int(owner.holder.split(":")[3])).kill()
    until(lambda: waiting.ended(flow_run).state_name == "Crashed", "the crash")

    until(
        lambda: reconciled(machine, waiting, flow_run), "the second process", every=0.5
    )
    assert only(shop).status is Status.SUCCEEDED


def test_of_many_that_wait_one_is_woken(
    waiting: Deployed, shop: Shop, home: Path, machine: Machine
) -> None:
    flow_run = ask(waiting, shop, home)
    others = [another(waiting, shop, number) for number in range(MANY)]

    early = machine.call("deliver", "reconcile")
    assert early.stdout.strip() == "nothing to set right", early.stdout + early.stderr
    machine.call("deliver", "approve", "shop", "1")

    assert waiting.ended(flow_run).state_name == "Completed"
    still = {shop.ledger.executions.get(other).status for other in others}
    assert still == {Status.WAITING}


def test_reconciling_is_deployed_once_and_wakes_what_was_not_woken(
    waiting: Deployed, shop: Shop, home: Path
) -> None:
    flow_run = ask(waiting, shop, home)
    # Whoever decides dies before waking the run.
    control.approve(shop.ledger, "shop", 1, by="bob")
    where = {"env": {"PREFECT_DELIVERY_HOME": str(home)}}
    changed = [
        keep(
            waiting.client,
            RECONCILE,
            pool=waiting.pool,
            every=60,
            job_variables=where,
        )
        for _ in range(2)
    ]
    assert changed == [True, False]
    kept = waiting.client.read_deployment_by_name(RECONCILE.deployment)

    # It looks into the ledger that the pipelines' variables name.
    waiting.client.create_flow_run_from_deployment(kept.id)

    assert waiting.ended(flow_run).state_name == "Completed"
    waiting.client.delete_deployment(kept.id)


def another(waiting: Deployed, shop: Shop, number: int) -> str:
    """An execution of another pipeline that waits, with its suspended flow run."""
    name = f"other{number}"
    deployment = waiting.client.read_deployment_by_name(f"pipeline/{waiting.pool}")
    flow_run = waiting.client.create_flow_run_from_deployment(
        deployment.id,
        state=Suspended(timeout_seconds=86_400, pause_key="x"),
        tags=["delivery", f"pipeline:{name}"],
    )
    executions = shop.ledger.executions
    made = executions.start(
        load(GATED % name, file="gated"),
        variables={},
        started_by="ann",
        only=("Gate",),
        flow_run=str(flow_run.id),
    )
    attempt = executions.claim(made.id, holder="nobody", ttl=60, dead=never)
    executions.enter_stage(attempt, "Gate")
    executions.begin_action(attempt, "Gate", "sure", 1)
    executions.end_action(attempt, "Gate", "sure", 1, Status.WAITING)
    executions.set_status(attempt, Status.WAITING)
    executions.leave(attempt)
    return made.id
