"""Looks at sources that no webhook tells of, and makes up for webhooks that got lost."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from httpx import HTTPError
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas import FlowRun
from prefect.exceptions import PrefectException

from prefect_delivery.actions import run_logger
from prefect_delivery.changes import Change, Outcome, Started
from prefect_delivery.errors import ActionFailed, DeliveryError, Refused
from prefect_delivery.flows.close import close
from prefect_delivery.flows.lost_runs import may_begin_again
from prefect_delivery.holder import is_dead, this_holder
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings
from prefect_delivery.trigger_filters import WatchedSource, watched_sources
from prefect_delivery.triggers import HandOver, hand_over, incoming, succeeded
from prefect_delivery.watched import look_at

Say = Callable[[str], None]

PARALLEL = 8
"""Sources that are looked at side by side; each has half a minute to answer."""
LOOKED = ""
"""In the place of a ref: that a source was looked at, though it had none."""
BACK = 50
"""Executions of a pipeline that are looked at for a success nobody heard of."""


@dataclass(frozen=True)
class _Look:
    """What one look at a source found.

    Attributes:
        address: The source, however it is named.
        named: As a pipeline names it.
    """

    address: str
    named: str
    refs: dict[str, str]
    error: str = ""


@flow(name="watch", persist_result=False)
def watch() -> list[str]:
    """Look at every source once, and say what was started."""
    done: list[str] = []
    look_around(Ledger.open(), done.append)
    for line in done:
        run_logger().info("%s", line)
    return done


def look_around(
    ledger: Ledger, say: Say, *, hand_over: HandOver = hand_over
) -> list[str]:
    """Look at every source of every deployed pipeline once.

    The first look at a source only notes what it has. One that cannot be read does not
    keep others from being looked at, and is looked at again the next time.

    Returns:
        What went wrong, in words; it was said as well.
    """
    wrong: list[str] = []

    def complain(line: str) -> None:
        wrong.append(line)
        say(line)

    sources = dict[str, WatchedSource]()
    for deployed in ledger.deployments.list():
        for source in watched_sources(deployed.definition):
            sources.setdefault(source.address, source)
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="watch") as threads:
        for look in threads.map(_look, sources.values()):
            if look.error:
                complain(f"{look.address}: {look.error}")
                continue
            _compare(ledger, look, say, complain, hand_over)
    _make_up(ledger, say, complain, hand_over)
    return wrong


def _look(source: WatchedSource) -> _Look:
    try:
        return _Look(source.address, source.named, look_at(source))
    except DeliveryError as error:
        return _Look(source.address, source.named, {}, error.message)


def _compare(
    ledger: Ledger, look: _Look, say: Say, complain: Say, hand_over: HandOver
) -> None:
    seen = ledger.changes.seen(look.address)
    if not seen:
        ledger.changes.see(look.address, {**look.refs, LOOKED: "yes"})
        say(f"{look.address}: watched from now on")
        return
    for change in _changes(look, seen):
        try:
            _tell(incoming(ledger, change, hand_over=hand_over), change, say)
        except ActionFailed as error:
            # What was seen stays as it was, so that the next look finds it again.
            complain(f"{look.address} {change.ref}: {error.message}")
            continue
        now = None if change.deleted else change.revision
        ledger.changes.see(look.address, {change.ref: now})


def _changes(look: _Look, seen: dict[str, str]) -> Iterator[Change]:
    for ref in sorted({*look.refs, *seen} - {LOOKED}):
        before, now = seen.get(ref), look.refs.get(ref)
        if now != before:
            yield Change(
                kind="push",
                repository=look.named,
                ref=ref,
                revision=now or before or "",
                before=before,
                deleted=now is None,
            )


def _make_up(ledger: Ledger, say: Say, complain: Say, hand_over: HandOver) -> None:
    """Do what somebody began and did not end: a process died, or a server was down."""
    for deployed in ledger.deployments.list():
        for other in deployed.definition.on.pipeline:
            for execution in reversed(ledger.executions.list(other, limit=BACK)):
                if execution.ended and execution.ended >= deployed.since:
                    for outcome in succeeded(ledger, execution, hand_over=hand_over):
                        if isinstance(outcome, Started) and not outcome.again:
                            say(f"{outcome.title}: success of {execution.title}")
    for execution_id in ledger.changes.not_taken_up():
        execution = ledger.executions.get(execution_id)
        try:
            over = _why_over(hand_over(ledger, execution))
        except Refused as error:
            over = error.message
        except (HTTPError, PrefectException, DeliveryError) as error:
            complain(f"{execution.title} is not handed over yet: {error}")
            continue
        if over and _close(ledger, execution_id, over):
            say(f"{execution.title}: stopped, {over}")


def _why_over(run: object) -> str | None:
    """Why a run will never take up its execution; None when it may."""
    if not isinstance(run, FlowRun) or run.state is None or not run.state.is_final():
        return None
    if run.state.is_crashed():
        with get_client(sync_client=True) as client:
            if may_begin_again(client, run):
                return None  # reconciling does that
    return f"its Prefect run is {run.state.name}"


def _close(ledger: Ledger, execution_id: str, reason: str) -> bool:
    """Close an execution whose run has ended before it began; say whether it was so."""
    try:
        attempt = ledger.executions.claim(
            execution_id, holder=this_holder(), ttl=settings().lease, dead=is_dead
        )
    except Refused:
        return False  # somebody has taken it up since
    untouched = attempt.number == 1
    if untouched:
        close(ledger, attempt, reason)
    ledger.executions.leave(attempt)
    return untouched


def _tell(outcomes: list[Outcome], change: Change, say: Say) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Started) and not outcome.again:
            say(f"{outcome.title}: {change.title}")
