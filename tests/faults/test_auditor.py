"""The auditor finds nothing where all is well, and objects to each thing that is not."""

import base64
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from audit_case import Case
from auditor import audit, findings
from host_shop import Shop, quiet, stop_everything
from projects import ENVIRONMENT, Project
from stopping import Interrupted

from prefect_delivery import control
from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.blocks.host_proxy import Proxy
from prefect_delivery.engine.state import Status
from prefect_delivery.errors import RolloutFailed
from prefect_delivery.holder import this_holder
from prefect_delivery.ledger import Ledger
from prefect_delivery.rollout import roll_out
from prefect_delivery.settings import settings

SECRET = "correct horse battery staple"
TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger'"


class World:
    """Two executions that went through approvals into an environment; ours to break."""

    def __init__(self, root: Path) -> None:
        self.target = HostEnvironment(root=root)
        self.ledger = Ledger.open()

    def sql(self, statement: str, **values: object) -> None:
        """Change the database behind the ledger's back."""
        path = settings().ledger.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as intruder:
            # Whoever can write to the file can also remove what guards the log.
            for (trigger,) in intruder.execute(TRIGGERS).fetchall():
                intruder.execute(f"DROP TRIGGER {trigger}")
            intruder.execute(statement, values)

    def note(self, actor: str, verb: str, subject: str, **detail: Any) -> None:
        """Add to the audit log, with the chain intact, what never happened."""
        self.ledger._database.write(lambda tx: tx.audit(actor, verb, subject, **detail))

    def found(self, **more: Any) -> list[str]:
        case = Case(self.ledger, {ENVIRONMENT: self.target}, **more)
        return findings(case)


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the home and the environment of a project that has delivered twice."""
    folder = tmp_path_factory.mktemp("delivered")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_DELIVERY_HOME", str(folder / "home"))
        project = Project.at(folder / "shop")
        for greeting in ("one", "two"):
            project.publish(greeting=greeting, gates={"approvers": ["bob"]})
            waiting = project.run()
            control.approve(project.ledger, "shop", by="bob")
            assert project.run(waiting).status is Status.SUCCEEDED
        project.ledger.close()
    return folder


@pytest.fixture
def world(delivered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in ("home", "site"):
        shutil.copytree(delivered / name, tmp_path / name, symlinks=True)
    monkeypatch.setenv("PREFECT_DELIVERY_HOME", str(tmp_path / "home"))
    return World(tmp_path / "site")


def test_nothing_is_found_where_all_is_well(world: World) -> None:
    assert world.found(secrets=[SECRET], effects=["one", "two"]) == []


def test_what_is_found_is_said(world: World) -> None:
    world.sql("UPDATE environments SET current = NULL")

    with pytest.raises(AssertionError, match=r"I3: shop/production runs [0-9a-f]{64}"):
        audit(world.ledger, {ENVIRONMENT: world.target})


def journal_under_a_lost_lease(world: World) -> None:
    rollout = world.ledger.rollouts.history(ENVIRONMENT)[0].id
    detail = {"rollout": rollout, "token": 1, "seq": 99, "step": "shift"}
    world.note("frozen", "intend", ENVIRONMENT, **detail)


def two_rollouts_at_once(world: World) -> None:
    rollout = world.ledger.rollouts.history(ENVIRONMENT)[0].id
    for _ in range(2):
        world.note("two", "open rollout", ENVIRONMENT, rollout=rollout, token=2)


def record_for_somebody_else(world: World) -> None:
    world.note("stranger", "enter stage", "shop #2 / Build")


def begin_an_action_twice(world: World) -> None:
    owner = world.ledger.audit.entries()[0].actor
    world.note(owner, "begin action", "shop #2 / Build / package", attempt=1)


def move_the_link(world: World) -> None:
    (world.target.root / "current").unlink()


def lose_the_owner(world: World) -> None:
    world.sql(
        "UPDATE executions SET ended = NULL, status = 'in-progress' WHERE number = 1"
    )


def kill_the_owner(world: World) -> None:
    lose_the_owner(world)
    dead = this_holder().rpartition(":")[0] + ":1"
    world.sql(
        "UPDATE executions SET holder = :dead, expires = '2999-01-01 00:00:00.000000'"
        " WHERE number = 1",
        dead=dead,
    )


def wait_for_nothing(world: World) -> None:
    world.sql("UPDATE executions SET ended = NULL, status = 'waiting'")


def leave_a_rollout_open(world: World) -> None:
    world.sql("UPDATE rollouts SET status = 'open' WHERE position = 2")


def deploy_an_older_one(world: World) -> None:
    world.sql("UPDATE executions SET number = 7 WHERE number = 1")


def forget_the_decision(world: World) -> None:
    world.sql("DELETE FROM decisions")


def use_a_decision_for_something_else(world: World) -> None:
    world.sql("UPDATE votes SET fingerprint = 'other'")


def approve_for_nowhere(world: World) -> None:
    world.sql("UPDATE action_runs SET variables = '{}' WHERE action = 'ok'")


def enter_a_frozen_stage(world: World) -> None:
    owner = world.ledger.audit.entries()[0].actor
    world.note("ann", "disable transition", "shop / Build", reason="party")
    world.note(owner, "enter stage", "shop #2 / Build")


def give_too_much_traffic(world: World) -> None:
    world.sql("UPDATE steps SET detail = '{\"percent\": 130}' WHERE verb = 'shift'")


def rewrite_the_log(world: World) -> None:
    world.sql("UPDATE audit SET actor = 'eve' WHERE seq = 3")


def cut_out_of_the_log(world: World) -> None:
    world.sql("DELETE FROM audit WHERE seq = 5")


def claim_another_release(world: World) -> None:
    world.sql(
        "UPDATE environments SET current ="
        " (SELECT release FROM rollouts WHERE position = 1)"
    )


def turn_a_success_into_a_failure(world: World) -> None:
    world.sql("UPDATE executions SET status = 'failed' WHERE number = 2")


def close_a_rollout_unseen(world: World) -> None:
    world.sql("UPDATE rollouts SET status = 'rolled-back' WHERE position = 1")


def put_a_secret_into_a_log(world: World) -> None:
    log = next(settings().logs.rglob("*.log"))
    log.write_text(f"the password is {SECRET}\n")


def put_a_secret_into_a_log_in_disguise(world: World) -> None:
    log = next(settings().logs.rglob("*.log"))
    log.write_text(base64.b64encode(SECRET.encode()).decode())


def put_a_secret_into_a_column(world: World) -> None:
    world.sql("UPDATE action_runs SET summary = :secret", secret=f"got {SECRET}")


def keep_a_lease(world: World) -> None:
    world.ledger.leases.take(ENVIRONMENT, holder=this_holder(), ttl=60)


def keep_a_claim(world: World) -> None:
    world.sql(
        "UPDATE executions SET holder = :me, expires = '2999-01-01 00:00:00.000000'",
        me=this_holder(),
    )


def leave_a_workspace(world: World) -> None:
    (settings().workspaces / "left").mkdir()


def leave_half_an_artifact(world: World) -> None:
    (settings().artifacts / "temporary" / "half").touch()


def leave_half_a_release(world: World) -> None:
    (world.target.root / "half" / "release").mkdir(parents=True)


def start_it_twice(world: World) -> None:
    [latest] = world.ledger.executions.list(limit=1)
    again = {
        "execution": latest.id,
        "definition": latest.definition.digest,
        "variables": {},
        "revisions": {},
    }
    world.note("ann", "start execution", "shop #2", **again)


def lose_an_execution(world: World) -> None:
    world.sql("DELETE FROM executions WHERE number = 1")


def edit_the_snapshot(world: World) -> None:
    world.sql(
        "UPDATE pipelines SET snapshot = replace(snapshot, 'echo two', 'echo evil')"
    )


def swap_the_variables(world: World) -> None:
    world.sql('UPDATE executions SET variables = \'{"a": "b"}\' WHERE number = 2')


def swap_the_definition(world: World) -> None:
    world.sql(
        "UPDATE executions SET definition_digest ="
        " (SELECT definition_digest FROM executions WHERE number = 1)"
    )


def swap_the_artifact_of_a_release(world: World) -> None:
    world.sql("UPDATE releases SET artifact_size = artifact_size + 1")


def damage_an_artifact(world: World) -> None:
    for pack in (settings().artifacts / "packs").iterdir():
        pack.chmod(0o600)
        pack.write_bytes(b"")


def change_a_revision(world: World) -> None:
    owner = world.ledger.audit.entries()[0].actor
    world.note(owner, "note revision", "shop #2 / app", revision="0" * 40)


BREAKS: dict[str, list[Callable[[World], None]]] = {
    "I1": [journal_under_a_lost_lease, two_rollouts_at_once, record_for_somebody_else],
    "I2": [begin_an_action_twice],
    "I3": [move_the_link],
    "I4": [lose_the_owner, kill_the_owner, wait_for_nothing, leave_a_rollout_open],
    "I5": [deploy_an_older_one],
    "I6": [
        forget_the_decision,
        use_a_decision_for_something_else,
        approve_for_nowhere,
        enter_a_frozen_stage,
    ],
    "I7": [give_too_much_traffic],
    "I8": [
        rewrite_the_log,
        cut_out_of_the_log,
        claim_another_release,
        turn_a_success_into_a_failure,
        close_a_rollout_unseen,
    ],
    "I9": [
        put_a_secret_into_a_log,
        put_a_secret_into_a_log_in_disguise,
        put_a_secret_into_a_column,
    ],
    "I10": [
        keep_a_lease,
        keep_a_claim,
        leave_a_workspace,
        leave_half_an_artifact,
        leave_half_a_release,
    ],
    "I11": [start_it_twice, lose_an_execution],
    "I12": [
        edit_the_snapshot,
        swap_the_variables,
        swap_the_definition,
        swap_the_artifact_of_a_release,
        damage_an_artifact,
        change_a_revision,
    ],
}
CASES = [(name, act) for name, acts in BREAKS.items() for act in acts]


@pytest.mark.parametrize(
    ("invariant", "act"), CASES, ids=[f"{name}-{act.__name__}" for name, act in CASES]
)
def test_the_auditor_objects(
    world: World, invariant: str, act: Callable[[World], None]
) -> None:
    act(world)

    broken = {finding.split(":")[0] for finding in world.found(secrets=[SECRET])}
    assert invariant in broken


def test_the_auditor_objects_to_an_effect_that_was_seen_twice(world: World) -> None:
    assert world.found(effects=["key", "other", "key"]) == [
        "I2: the target has acted 2 times on 'key'"
    ]


def unlock_behind_its_back(shop: Shop, host: HostEnvironment) -> None:
    with closing(sqlite3.connect(settings().home / "ledger.db")) as intruder:
        intruder.execute("UPDATE environments SET locked = NULL")
        intruder.commit()


def start_a_third_release(shop: Shop, host: HostEnvironment) -> None:
    third = shop.release("three")
    host.prepare(third, fence=99)


def lead_to_a_third_release(shop: Shop, host: HostEnvironment) -> None:
    third = shop.release("three")
    for verb in (host.prepare, host.commit):
        verb(third, 99)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (unlock_behind_its_back, "I8: production is held, and nobody has unlocked it"),
        (start_a_third_release, "I10: production has a process of a release that"),
        (lead_to_a_third_release, "I3: production is held, and runs"),
    ],
)
def test_the_auditor_knows_what_a_held_rollout_may_leave(
    shop: Shop, act: Callable[[Shop, HostEnvironment], None], said: str
) -> None:
    host, held = shop.host(), threading.Event()
    arguments: dict[str, Any] = {"execution_id": "", "log": quiet}
    one, two = shop.release("one"), shop.release("two")
    roll_out(shop.ledger, host, shop.environment, one, **arguments)
    Interrupted(shop.ledger, 9, held.set)
    with suppress(RolloutFailed):
        roll_out(shop.ledger, host, shop.environment, two, hold=held, **arguments)
    assert shop.ledger.rollouts.history(shop.environment, 1)[0].status == "held"
    audit(shop.ledger, {shop.environment: host})

    act(shop, host)

    found = findings(Case(shop.ledger, {shop.environment: host}))
    assert [finding for finding in found if finding.startswith(said)]


def test_the_auditor_objects_to_traffic_that_does_not_add_up(shop: Shop) -> None:
    if Proxy.program() is None:
        pytest.skip("haproxy is not installed")
    host, release = shop.host(), shop.release("one")
    arguments: dict[str, Any] = {"execution_id": "", "log": quiet}
    roll_out(shop.ledger, host, shop.environment, release, **arguments)
    audit(shop.ledger, {shop.environment: host})
    assert host.port and host._services
    port = host._services.port(release.digest)
    assert port

    Proxy(host.root / "proxy", host.bind, host.port).route({port: 60})
    partly = findings(Case(shop.ledger, {shop.environment: host}))
    Proxy(host.root / "proxy", host.bind, host.port).route({port: 100})
    host._services.stop(release.digest)
    nowhere = findings(Case(shop.ledger, {shop.environment: host}))

    assert "I7: the traffic of production adds up to 60 %" in partly
    assert any("where no release runs" in finding for finding in nowhere)
    stop_everything(host)
