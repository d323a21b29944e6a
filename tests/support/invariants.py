"""The invariants that the auditor checks, one function each; a finding is a sentence."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from audit_case import Case, releases_in, title
from audit_files import in_clear, left_behind
from audit_gates import gates_were_passed
from audit_snapshots import runs_are_those_of_their_snapshots
from sqlalchemy import RowMapping

from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.blocks.host_proxy import Proxy
from prefect_delivery.engine.state import Status
from prefect_delivery.errors import LedgerError
from prefect_delivery.holder import is_dead

OWNED = {"begin action", "end action", "enter stage", "end stage", "note revision"}
"""What only the owner of an execution may record."""
JOURNALED = {"open rollout", "intend", "record", "close rollout"}


def one_at_a_time(case: Case) -> Iterator[str]:
    """I1: who changes an environment or an execution holds it at that moment."""
    lease_of = {row["id"]: row["lease"] for row in case.tables["rollouts"]}
    tokens: dict[str, int] = {}
    open_in: dict[str, str] = {}
    owners: dict[str, str] = {}
    for entry in case.log:
        detail, place = entry.detail, f"entry {entry.seq}"
        if entry.verb == "take lease":
            if detail["token"] <= tokens.get(entry.subject, 0):
                yield f"{place}: lease {entry.subject} was given out twice"
            tokens[entry.subject] = detail["token"]
        elif entry.verb in JOURNALED:
            rollout = detail["rollout"]
            if detail["token"] != tokens.get(lease_of.get(rollout, ""), 0):
                yield f"{place}: '{entry.verb}' under a lease that was lost"
            if entry.verb == "open rollout":
                if entry.subject in open_in:
                    yield f"{place}: two rollouts into {entry.subject} at once"
                open_in[entry.subject] = rollout
            elif open_in.get(entry.subject) != rollout:
                yield f"{place}: '{entry.verb}' of a rollout that is not open"
            elif entry.verb == "close rollout":
                del open_in[entry.subject]
        elif entry.verb == "claim":
            owners[entry.subject] = entry.actor
        elif entry.verb in OWNED:
            execution = entry.subject.split(" / ")[0]
            if owners.get(execution) != entry.actor:
                yield f"{place}: '{entry.verb}' by {entry.actor}, who does not own it"


def effects_are_single(case: Case) -> Iterator[str]:
    """I2: nothing was begun, recorded or done at the target twice."""
    told = Counter(
        (entry.verb, entry.subject, entry.detail.get("attempt"))
        for entry in case.log
        if entry.verb in {"begin action", "note external id"}
    )
    told.update(
        (entry.verb, entry.detail["rollout"], entry.detail["seq"])
        for entry in case.log
        if entry.verb in {"intend", "record"}
    )
    for (verb, subject, number), count in told.items():
        if count > 1:
            yield f"'{verb}' of {subject} {number or ''} was recorded {count} times"
    for key, count in Counter(case.effects).items():
        if count > 1:
            yield f"the target has acted {count} times on '{key}'"


def targets_run_what_is_recorded(case: Case) -> Iterator[str]:
    """I3: what the ledger says is deployed is what the target reports."""
    known = {row["name"]: row for row in case.tables["environments"]}
    for name, target in case.environments.items():
        row = known.get(name)
        recorded, real = row and row["current"], target.observe()
        if row is not None and row["stopped"]:
            recorded = None
        if row is not None and row["locked"]:
            # By its reason it says what the ledger does not know. One that is held may
            # be between its two releases, where the target names neither.
            both = releases_in(case, name)
            if both and real not in {*both, None}:
                yield f"{name} is held, and runs {real}, which is neither release"
            continue
        if recorded != real:
            yield f"{name} runs {real}, and the ledger says {recorded}"


def nothing_is_without_owner(case: Case) -> Iterator[str]:
    """I4: what has not ended has a living owner or a visible reason."""
    holders = {row["name"]: row for row in case.tables["leases"]}
    for row in case.executions.values():
        if row["ended"] is None and (why := _orphaned(case, row)):
            yield f"{title(row)} is {row['status']}, and {why}"
    for row in case.tables["rollouts"]:
        if row["status"] == "open" and not _lives(holders[row["lease"]]):
            yield f"rollout {row['id']} into {row['environment']} is nobody's"


def _orphaned(case: Case, execution: RowMapping) -> str | None:
    if execution["holder"]:
        return None if _lives(execution) else "its owner has died"
    if execution["status"] != Status.WAITING:
        return "nobody runs it"
    for table in ("stage_runs", "action_runs"):
        for row in case.tables[table]:
            ours = row["execution_id"] == execution["id"]
            # A stage says why it waits; an action is what a person is asked.
            if ours and row["status"] == Status.WAITING:
                return None
    return "nothing says what it waits for"


def _lives(held: RowMapping) -> bool:
    if held["holder"] is None or is_dead(held["holder"]):
        return False
    return bool(held["expires"] > datetime.now(UTC))


def newer_stays(case: Case) -> Iterator[str]:
    """I5: an older execution never replaces a newer one, unless it rolls back."""
    newest: dict[tuple[str, str], int] = {}
    for row in sorted(case.tables["rollouts"], key=lambda row: row["position"]):
        execution = case.executions.get(row["execution_id"])
        if row["status"] != "committed" or row["kind"] != "forward" or not execution:
            continue
        if "older" in execution["trigger"]:
            continue  # a person has said so, and the execution's trigger says it
        key = row["environment"], execution["pipeline"]
        if execution["number"] < newest.get(key, 0):
            yield f"{title(execution)} replaced #{newest[key]} in {row['environment']}"
        newest[key] = max(newest.get(key, 0), execution["number"])


def traffic_is_whole(case: Case) -> Iterator[str]:
    """I7: traffic adds up to 100 % on releases that run."""
    for row in case.tables["steps"]:
        percent = row["detail"].get("percent", 100)
        if row["verb"] == "shift" and not 0 < percent <= 100:
            yield f"a step gave a release {percent} % of the traffic"
    for name, target in case.environments.items():
        if not isinstance(target, HostEnvironment) or not target.has_traffic:
            continue
        assert target.port and target._services
        routes = Proxy(target.root / "proxy", target.bind, target.port).routes()
        if routes and sum(routes.values()) != 100:
            yield f"the traffic of {name} adds up to {sum(routes.values())} %"
        alive = {state["port"] for state in target._services.running().values()}
        for port in set(routes) - alive:
            yield f"{name} sends traffic to port {port}, where no release runs"


def the_log_tells_all(case: Case) -> Iterator[str]:
    """I8: the audit chain verifies, and the tables say what the log says."""
    try:
        case.ledger.audit.verify()
    except LedgerError as error:
        yield error.message
    closed = {
        entry.detail["rollout"]: entry.detail["status"]
        for entry in case.log
        if entry.verb == "close rollout"
    }
    current: dict[str, str] = {}
    for row in sorted(case.tables["rollouts"], key=lambda row: row["position"]):
        said = closed.get(row["id"], "open")
        if row["status"] != said:
            yield f"rollout {row['id']} is {row['status']}, and the log says {said}"
        if row["status"] == "committed":
            current[row["environment"]] = row["release"]
    locked = {row["name"]: row["locked"] for row in case.tables["environments"]}
    for entry in case.log_of("close rollout"):
        if entry.detail["status"] == "held":
            later = [e for e in case.log[entry.seq :] if e.subject == entry.subject]
            freed = any(e.verb == "unlock environment" for e in later)
            if not (freed or locked[entry.subject]):
                yield f"{entry.subject} is held, and nobody has unlocked it"
    for row in case.tables["environments"]:
        if row["current"] != current.get(row["name"]):
            yield f"{row['name']} has {row['current']}, which no rollout has committed"
    ends = _ends(case)
    for row in case.executions.values():
        said = ends.get(title(row), row["status"])
        if row["ended"] and row["status"] != said:
            yield f"{title(row)} is {row['status']}, and the log says {said}"
        if row["status"] == Status.SUCCEEDED and title(row) not in ends:
            yield f"{title(row)} succeeded, and the log does not say so"


def _ends(case: Case) -> dict[str, str]:
    """How each execution ended last, as the log says; a retry takes an end back."""
    ends: dict[str, str] = {}
    for entry in case.log:
        execution = entry.subject.split(" / ")[0]
        if entry.verb == "end":
            ends[execution] = entry.detail["status"]
        elif entry.verb == "supersede":
            ends[execution] = Status.SUPERSEDED
        elif entry.verb == "reopen":
            ends.pop(execution, None)
    return ends


def starts_are_single(case: Case) -> Iterator[str]:
    """I11: whatever asked for a run got exactly one."""
    started = Counter(e.detail["execution"] for e in case.log_of("start execution"))
    for row in case.executions.values():
        if started[row["id"]] != 1:
            yield f"{title(row)} was started {started[row['id']]} times"
    for gone in set(started) - set(case.executions):
        yield f"execution {gone} was started and is gone"
    asked = Counter(
        (row["pipeline"], row["start_key"])
        for row in case.executions.values()
        if row["start_key"] is not None
    )
    for (pipeline, key), count in asked.items():
        if count > 1:
            yield f"start '{key}' of {pipeline} led to {count} executions"


INVARIANTS: dict[str, Callable[[Case], Iterator[str]]] = {
    "I1": one_at_a_time,
    "I2": effects_are_single,
    "I3": targets_run_what_is_recorded,
    "I4": nothing_is_without_owner,
    "I5": newer_stays,
    "I6": gates_were_passed,
    "I7": traffic_is_whole,
    "I8": the_log_tells_all,
    "I9": in_clear,
    "I10": left_behind,
    "I11": starts_are_single,
    "I12": runs_are_those_of_their_snapshots,
}
