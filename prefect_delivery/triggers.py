"""The one way from a change outside to executions: filters, order, exactly one start.

For each deployed pipeline a change is noted in the ledger, with the execution that it
started or the reason why it started none. The execution is there before Prefect is told
of it, so that a server that is down loses nothing: `watch` hands over what is left.
"""

import logging
from collections.abc import Callable
from typing import Final, TypeVar
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas import FlowRun
from prefect.exceptions import PrefectException

from prefect_delivery import control
from prefect_delivery.changes import OBJECT, UNPINNED, Change, Ignored, Outcome, Started
from prefect_delivery.definition import load
from prefect_delivery.definition.models import (
    Action,
    Filter,
    Pipeline,
    PullRequestFilter,
    Rule,
    Stage,
)
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import DefinitionError, Refused
from prefect_delivery.ledger import Deployed, Ledger, NotedChange
from prefect_delivery.lineage import changed_files, file_at, why_not_newer
from prefect_delivery.trigger_filters import (
    asks_for_files,
    filters_for,
    sources_for,
    why_not_files,
    why_not_ref,
)

CONTAINED: Final = {"build/commands", "test/commands", "rule/commands"}
"""Actions that may run in a container, which has nothing of the worker's."""

Spec = TypeVar("Spec", Action, Rule)
HandOver = Callable[[Ledger, Execution], object]
_LOG = logging.getLogger("prefect_delivery.triggers")


def hand_over(ledger: Ledger, execution: Execution) -> FlowRun:
    """Let Prefect carry out an execution; asked again, it is the same run.

    Raises:
        Refused: The pipeline is not deployed any more.
        HTTPError, PrefectException: Prefect's server does not take it.
    """
    deployed = ledger.deployments.find(execution.pipeline)
    if deployed is None:
        raise Refused(
            f"{execution.pipeline} is not deployed any more", hint="deliver deploy"
        )
    with get_client(sync_client=True) as client:
        return client.create_flow_run_from_deployment(
            UUID(deployed.deployment),
            name=f"{execution.pipeline}-{execution.number}",
            parameters={
                "execution_id": execution.id,
                # The form asks for those that have no default.
                "variables": execution.variables,
            },
            idempotency_key=execution.id,
        )


def incoming(
    ledger: Ledger, change: Change, *, hand_over: HandOver = hand_over
) -> list[Outcome]:
    """Start what a change starts, in every deployed pipeline that it concerns.

    The same change may come any number of times, in any order with others.

    Args:
        hand_over: Lets somebody carry out an execution that was started.

    Raises:
        ActionFailed: A repository had to be asked, and cannot be read. Pipelines that
            were looked at before are done; say it again later for the others.
    """
    outcomes = []
    for deployed in ledger.deployments.list():
        if (outcome := _take(ledger, deployed, change)) is None:
            continue
        if isinstance(outcome, Started):
            outcome = _handed_over(ledger, outcome, hand_over)
        outcomes.append(outcome)
    return outcomes


def succeeded(
    ledger: Ledger, execution: Execution, *, hand_over: HandOver = hand_over
) -> list[Outcome]:
    """Start the pipelines that wait for the success of this one's execution.

    A rollback and a promotion bring nothing new, and start nothing.
    """
    new = execution.only is None and execution.carried is None
    if execution.status is not Status.SUCCEEDED or not new:
        return []
    change = Change(
        kind="pipeline",
        repository=execution.pipeline,
        ref="success",
        revision=str(execution.number),
        by=execution.started_by,
    )
    return incoming(ledger, change, hand_over=hand_over)


def _handed_over(ledger: Ledger, started: Started, hand_over: HandOver) -> Started:
    execution = ledger.executions.get(started.execution_id)
    if execution.status.ended or execution.flow_run:
        return started
    try:
        hand_over(ledger, execution)
    except (HTTPError, PrefectException, Refused) as error:
        _LOG.warning("%s is not handed over yet: %s", started.title, error)
        return started
    return Started(**{**vars(started), "handed_over": True})


def _take(ledger: Ledger, deployed: Deployed, change: Change) -> Outcome | None:
    """What becomes of a change in one pipeline; None when it does not concern it."""
    definition = deployed.definition
    if not _concerns(definition, change):
        return None
    name = definition.pipeline
    while True:
        if known := ledger.changes.find(name, change.key):
            return _known(ledger, known)
        newest = ledger.changes.newest(name, change.line)
        chosen = _wanted_by(definition, change)
        reason = (
            chosen
            if isinstance(chosen, str)
            else _why_older(definition, change, newest)
        )
        execution: Execution | None = None
        if not (reason or isinstance(chosen, str)):
            try:
                execution = _start(ledger, deployed, change, newest, chosen)
            except (Refused, DefinitionError) as error:
                reason = error.message
        if reason is not None:
            ledger.changes.ignore(
                name,
                change=change.key,
                line=change.line,
                revision=change.revision,
                reason=reason,
            )
            return Ignored(pipeline=name, reason=reason)
        if execution is not None:
            return _started(execution)
        # Another change of the line was faster: look again which one is newer.


def _known(ledger: Ledger, known: NotedChange) -> Outcome:
    if known.execution_id is None:
        return Ignored(pipeline=known.pipeline, reason=known.reason or "", again=True)
    return _started(ledger.executions.get(known.execution_id), again=True)


def _concerns(definition: Pipeline, change: Change) -> bool:
    if change.kind == "pipeline":
        return change.repository in definition.on.pipeline
    asked_for = bool(filters_for(definition, change))
    return asked_for and bool(sources_for(definition, change))


def _wanted_by(definition: Pipeline, change: Change) -> Filter | str | None:
    """The first filter that wants a change, or why none does; None without filters."""
    if change.kind == "pipeline":
        return None
    reasons = []
    files: tuple[str, ...] | None = None
    try:
        for chosen in filters_for(definition, change):
            reason = why_not_ref(definition, change, chosen)
            if not reason and asks_for_files(chosen) and change.ref != OBJECT:
                files = _files(definition, change) if files is None else files
                reason = (
                    "what files changed is not known of a new branch"
                    if files is None
                    else why_not_files(chosen, files)
                )
            if not reason:
                return chosen
            reasons.append(reason)
    except TimeoutError:
        reasons.append("a pattern of its filter takes too long to match")
    return "; ".join(dict.fromkeys(reasons))


def _files(definition: Pipeline, change: Change) -> tuple[str, ...] | None:
    """What files changed; None when nobody knows."""
    if change.files is not None or change.before is None:
        return change.files
    source = next(iter(sources_for(definition, change).values()))
    return tuple(changed_files(source, change.before, change.revision))


def _why_older(definition: Pipeline, change: Change, newest: str | None) -> str | None:
    if newest is None or change.ref == OBJECT:
        return None
    if change.kind == "pipeline":
        older = int(newest) > int(change.revision)
        return f"older than #{newest}" if older else None
    source = next(iter(sources_for(definition, change).values()))
    return why_not_newer(source, change, newest)


def _start(
    ledger: Ledger,
    deployed: Deployed,
    change: Change,
    newest: str | None,
    chosen: Filter | None,
) -> Execution | None:
    definition = _definition(deployed, change, chosen)
    revisions = {}
    if change.kind != "pipeline" and not change.revision.startswith(UNPINNED):
        revisions = dict.fromkeys(sources_for(definition, change), change.revision)
    return ledger.changes.start(
        definition,
        change=change.key,
        line=change.line,
        revision=change.revision,
        after=newest,
        variables=control.resolved(definition, {}),
        revisions=control.checked(definition, revisions),
        trigger=change.title,
        started_by=change.by or change.kind,
        untrusted=change.kind == "pull_request",
    )


def _definition(deployed: Deployed, change: Change, chosen: Filter | None) -> Pipeline:
    """What an execution runs on: what is deployed, not what a pull request says.

    Raises:
        Refused, DefinitionError: A pull request may bring its own, which is wrong.
    """
    if not isinstance(chosen, PullRequestFilter):
        return deployed.definition
    if change.fork:
        return without_secrets(deployed.definition)
    if not chosen.own_definition:
        return deployed.definition
    source = next(iter(sources_for(deployed.definition, change).values()))
    text = file_at(source, change.revision, deployed.file)
    if text is None:
        raise Refused(f"the pull request has no {deployed.file}")
    own = load(text, file=deployed.file)
    if own.pipeline != deployed.definition.pipeline:
        raise Refused(f"{deployed.file} of the pull request defines {own.pipeline}")
    return own


def without_secrets(definition: Pipeline) -> Pipeline:
    """A definition for what a fork brings: actions in containers, without secrets.

    Sources keep what they fetch with: nothing that they bring is run by them.

    Raises:
        Refused: An action runs what a fork brings beside the worker's own secrets, or
            deploys it.
    """
    return definition.model_copy(
        update={
            "stages": {
                name: _stage_without_secrets(name, stage)
                for name, stage in definition.stages.items()
            }
        }
    )


def _stage_without_secrets(name: str, stage: Stage) -> Stage:
    changed: dict[str, object] = {
        "actions": {
            key: _in_container(action, f"{name} / {key}")
            for key, action in stage.actions.items()
        }
    }
    for when in ("before_entry", "on_success", "on_failure"):
        if condition := getattr(stage, when):
            rules = {
                key: _in_container(rule, f"{name} / {when} / {key}")
                for key, rule in condition.rules.items()
            }
            changed[when] = condition.model_copy(update={"rules": rules})
    return stage.model_copy(update=changed)


def _in_container(spec: Spec, place: str) -> Spec:
    harmless = spec.uses.startswith(("source/", "approval/"))
    harmless = harmless or spec.uses in {"rule/deployment-window", "rule/alarm"}
    if not (harmless or (spec.uses in CONTAINED and spec.with_.get("image"))):
        raise Refused(
            f"it comes from a fork, and {place} is not in a container",
            hint="give it an `image`, or make a pipeline for forks",
        )
    given = {key: value for key, value in spec.with_.items() if key != "secrets"}
    return spec.model_copy(update={"with_": given})


def _started(execution: Execution, *, again: bool = False) -> Started:
    return Started(
        pipeline=execution.pipeline,
        execution_id=execution.id,
        title=execution.title,
        again=again,
    )
