"""Carries out what webhooks brought. They are hints: the repository itself is asked.

A delivery is carried out at least once; what it starts, it starts once, since the same
change never starts a second execution. So processes may do this side by side, and again
after a crash.
"""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pydantic import TypeAdapter

from prefect_delivery.changes import Change, Outcome, Started
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Ledger, Message
from prefect_delivery.lineage import repository_of
from prefect_delivery.tasks.source.repository import Repository
from prefect_delivery.trigger_filters import WatchedSource, sources_of
from prefect_delivery.triggers import HandOver, hand_over, incoming

Say = Callable[[str], None]
CHANGES = TypeAdapter(list[Change])
AT_ONCE = 4
"""Repositories that are asked at the same time."""
PAGE = 50
MOST_TRIES = 20
"""With the pauses between them, most of a day."""
LONGEST_PAUSE = 3600.0
_LOG = logging.getLogger("prefect_delivery.inbox")


def process(
    ledger: Ledger, say: Say = _LOG.info, *, hand_over: HandOver = hand_over
) -> int:
    """Carry out what is due. One repository that cannot be read holds up no other.

    Args:
        say: Takes a line for each delivery.
        hand_over: Lets somebody carry out an execution that was started.

    Returns:
        How many deliveries were looked at.
    """
    messages = ledger.inbox.due(limit=PAGE)

    def carry_out(some: list[Message]) -> None:
        for message in some:
            _carry_out(ledger, message, say, hand_over)

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="inbox") as pool:
        list(pool.map(carry_out, _by_repository(messages)))
    return len(messages)


def _by_repository(messages: Iterable[Message]) -> list[list[Message]]:
    """Those of one repository in the order in which they came."""
    found: dict[str, list[Message]] = {}
    for message in messages:
        told = CHANGES.validate_json(message.changes)
        found.setdefault(told[0].source if told else "", []).append(message)
    return [*found.values()]


def _carry_out(ledger: Ledger, message: Message, say: Say, hand_over: HandOver) -> None:
    try:
        told = CHANGES.validate_json(message.changes)
        said = "; ".join(_told(ledger, change, hand_over) for change in told)
    except ActionFailed as error:
        said = _again(ledger, message, error.message)
    except Exception as error:  # noqa: BLE001 - logged, and tried again later
        # A delivery that meets a bug of ours must not hold up those behind it.
        _LOG.exception("delivery %s", message.delivery)
        said = _again(ledger, message, f"{type(error).__name__}: {error}")
    else:
        ledger.inbox.done(message.position, said)
    say(f"{message.connection} {message.delivery}: {said}")


def _again(ledger: Ledger, message: Message, reason: str) -> str:
    if message.tries + 1 >= MOST_TRIES:
        said = f"given up after {MOST_TRIES} times: {reason}"
        ledger.inbox.done(message.position, said)
        return said
    pause = min(LONGEST_PAUSE, 5.0 * 2**message.tries)
    ledger.inbox.later(message.position, reason, seconds=pause)
    return f"again in {pause:g} s: {reason}"


def _told(ledger: Ledger, change: Change, hand_over: HandOver) -> str:
    """What became of a change, in words."""
    said = [
        _told_of(ledger, source, change, hand_over) for source in _meant(ledger, change)
    ]
    return (
        "; ".join(said) or f"{change.title}: no deployed pipeline has this repository"
    )


def _told_of(
    ledger: Ledger, source: WatchedSource, change: Change, hand_over: HandOver
) -> str:
    if source.address != change.source:
        change = replace(change, repository=source.named)
    true = confirmed(source, change)
    if isinstance(true, str):
        return f"{change.title}: {true}"
    outcomes = incoming(ledger, true, hand_over=hand_over)
    words = ", ".join(map(_in_words, outcomes)) or "no pipeline asks for it"
    return f"{change.title}: {words}"


def _meant(ledger: Ledger, change: Change) -> list[WatchedSource]:
    """One source for each repository that a sender may speak of."""
    found: dict[str, WatchedSource] = {}
    for deployed in ledger.deployments.list():
        for source in sources_of(deployed.definition):
            if source.may_be(change.source):
                found.setdefault(source.address, source)
    return [*found.values()]


def _in_words(outcome: Outcome) -> str:
    if isinstance(outcome, Started):
        return f"{outcome.title} {'was started before' if outcome.again else 'started'}"
    return f"{outcome.pipeline}: {outcome.reason}"


def confirmed(source: WatchedSource, change: Change) -> Change | str:
    """A change as its repository has it, or why the repository knows nothing of it.

    The address and credentials are those of a deployed definition, never what a sender
    says.

    Raises:
        ActionFailed: The repository cannot be read.
    """
    if change.deleted:
        return change  # starts nothing
    with repository_of(source) as repository:
        tip = repository.commit_of(change.ref)
        if tip is None:
            return f"{change.ref} is not there"
        if change.tag is not None or tip.startswith(change.revision):
            # What a tag points to, and the whole of what Bitbucket shortens.
            return replace(change, revision=tip)
        if change.kind == "pull_request":
            return f"{change.ref} has another commit by now"
        if _is_ancestor(repository, change.revision, tip):
            return change  # newer ones have been pushed since
    return f"{change.revision} is not on {change.ref}"


def _is_ancestor(repository: Repository, commit: str, tip: str) -> bool:
    repository.fetch_history(tip)
    try:
        repository.run("merge-base", "--is-ancestor", commit, tip)
    except ActionFailed:
        return False
    return True
