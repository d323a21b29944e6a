"""Deploy into an environment, and take it back when something later fails."""

import threading
from datetime import UTC, datetime, timedelta

from prefect.runtime import flow_run
from prefect.transactions import Transaction, get_transaction

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Outputs,
    action,
    run_logger,
)
from prefect_delivery.blocks import Environment
from prefect_delivery.blocks.environment import find_environment, ledger_name
from prefect_delivery.engine.approvals import gate_problem
from prefect_delivery.engine.state import ArtifactRef, Execution
from prefect_delivery.errors import Refused, RolloutFailed
from prefect_delivery.ledger import Ledger, Release, RolloutKind
from prefect_delivery.ledger.quarantine import refusal
from prefect_delivery.precedence import origin_of
from prefect_delivery.reruns import is_rerun
from prefect_delivery.rollout import roll_out, title
from prefect_delivery.tasks.source.history import is_on_branch, sources_of

_NOTE = "prefect_delivery.rollout"
_BY_PEOPLE = {"manual", "promotion", "rollback"}
"""Triggers of executions that a person has asked for, besides re-runs."""


@action(
    "deploy/environment",
    variables={
        "release": "digest of the release that serves now",
        "previous": "digest of the release that served before; empty for the first",
        "url": "where people reach the environment; empty where that is unknown",
    },
)
def deploy(
    artifact: Artifact,
    environment: str | Environment,
    *,
    variables: dict[str, str] = {},
    job: Job = Job(),
) -> Outputs:
    """Make a release of `artifact` what an environment runs.

    The release goes in step by step, as the environment's strategy says; when a step
    fails, the release before it serves again. Called in a flow under
    `with transaction():`, a later failure takes the release back as well.

    Args:
        artifact: The files of the release.
        environment: Name of a saved environment block, or of an environment of the
            definition.
        variables: Facts that belong to the release, for hooks and for people.

    Raises:
        ActionFailed: The rollout failed; names the release that serves now.
        Refused: Somebody else is changing the environment, it is locked, it keeps the
            release in quarantine or cools down, it runs what a newer execution has made,
            or its gates let nothing in that was not approved or does not come from
            where it must.
        LeaseLost: Somebody else has taken the environment over.
    """
    with Ledger.open() as ledger:
        target, name = _target(ledger, environment, job)
        _check_quarantine(ledger, target, name, artifact, job)
        _check_gates(ledger, target, name, artifact, job)
        release, kind = _release(ledger, artifact, variables, job)
        undo, hold = threading.Event(), threading.Event()
        job.on_stop(lambda: (hold if _is_to_hold(ledger, job) else undo).set())
        if kind == "forward":
            target.heed(release, undo)
        try:
            rollout = roll_out(
                ledger,
                target,
                name,
                release,
                execution_id=job.execution,
                log=job.log,
                kind=kind,
                cancelled=undo,
                hold=hold,
            )
        except RolloutFailed as failure:
            raise ActionFailed(failure.message, hint=failure.hint) from failure
    if transaction := get_transaction():
        transaction.set(_NOTE, {"id": rollout.id, "target": target})
    return Outputs(
        variables={
            "release": release.digest,
            "previous": rollout.previous or "",
            "url": target.address or "",
        },
        summary=f"{name} runs {title(release)}",
        link=target.address,
    )


@deploy.on_rollback
def take_back(transaction: Transaction) -> None:
    """Bring the release before back, since something later in the transaction failed."""
    note = transaction.get(_NOTE, None)
    if note is None:
        return
    log = run_logger().info
    with Ledger.open() as ledger:
        rollout = ledger.rollouts.get(note["id"])
        current = ledger.releases.current(rollout.environment)
        if rollout.previous == rollout.release:
            log("%s ran this release before", rollout.environment)
        elif current is None or current.digest != rollout.release:
            log("%s runs something newer by now", rollout.environment)
        elif rollout.previous is None:
            log("%s keeps its first release", rollout.environment)
        else:
            roll_out(
                ledger,
                note["target"],
                rollout.environment,
                ledger.releases.get(rollout.previous),
                execution_id=rollout.execution_id,
                log=log,
                kind="rollback",
            )


def _target(
    ledger: Ledger, environment: str | Environment, job: Job
) -> tuple[Environment, str]:
    """The environment, and the ledger's name for it."""
    if isinstance(environment, Environment):
        return environment, environment.name
    found = find_environment(environment, job.environments)
    name = ledger_name(found, environment, job.pipeline)
    if job.execution and ledger.executions.get(job.execution).is_rollback:
        return _where_it_is(ledger, found, name, job), name
    return found, name


def _where_it_is(
    ledger: Ledger, found: Environment, name: str, job: Job
) -> Environment:
    """The environment as a rollback finds it: at the place where it is now.

    A rollback runs on the definition of its time; the environment may have moved since.
    """
    known = {state.name: state for state in ledger.environments.list()}
    if not (state := known.get(name)) or not state.kind:
        return found
    configuration = {**state.configuration, "kind": state.kind}
    now = find_environment(name, {name: configuration})
    if now.identity == found.identity:
        return found
    job.log(f"{name} has moved since: {found.identity} is now {now.identity}")
    return now


def _is_to_hold(ledger: Ledger, job: Job) -> bool:
    """Whether whoever stops the execution wants its rollouts to stay where they are."""
    if not job.execution:
        return False
    stop = ledger.executions.get(job.execution).stop
    return stop is not None and stop.hold


def _check_quarantine(
    ledger: Ledger, target: Environment, name: str, artifact: Artifact, job: Job
) -> None:
    """Refuse what was rolled back here, and whatever comes by itself too soon after.

    What the environment runs may be deployed again.
    """
    execution = ledger.executions.get(job.execution) if job.execution else None
    current = ledger.releases.current(name)
    revisions = execution.revisions if execution else {}
    if current is None or current.artifact.digest != artifact.digest:
        found = ledger.quarantine.keeps_out(name, artifact.digest, revisions)
        if found is not None:
            raise refusal(found, _retry(execution))
    if execution is None or execution.is_rollback or _is_by_people(execution):
        return
    automatic = [one for one in ledger.quarantine.list(name) if one.automatic]
    over = timedelta(minutes=target.cool_down)
    if automatic and automatic[0].since + over > datetime.now(UTC):
        raise Refused(
            f"{name} cools down until {automatic[0].since + over:%H:%M} UTC: it has"
            f" just gone back from release {automatic[0].release[:12]}",
            hint=f"wait, or let a person start it: deliver run {execution.pipeline}",
        )


def _retry(execution: Execution | None) -> str | None:
    """The command by which a person has an execution try again."""
    if execution is None:
        return None
    return f"deliver retry {execution.pipeline} {execution.number}"


def _is_by_people(execution: Execution) -> bool:
    return execution.trigger in _BY_PEOPLE or is_rerun(execution)


def _check_gates(
    ledger: Ledger, target: Environment, name: str, artifact: Artifact, job: Job
) -> None:
    """Refuse what the environment's gates, as they are now, do not let in.

    A rollback passes them with what the environment has run before.
    """
    gates = target.gates
    if not (gates.needed or gates.pipelines or gates.branches):
        return
    if not job.execution:
        raise Refused(f"{name} has gates, so only a pipeline may deploy to it")
    execution = ledger.executions.get(job.execution)
    if execution.is_rollback and _has_run(ledger, name, artifact):
        return
    votes = ledger.votes.list(execution.id)
    if problem := gate_problem(execution, gates, name, artifact.digest, votes):
        raise Refused(problem, hint=f"deliver status {execution.title}")
    if gates.branches:
        sources = [*sources_of(origin_of(ledger, execution))]
        away = [s for s in sources if not is_on_branch(s, gates.branches, job)]
        if away or not sources:
            which = f"commit {away[0].commit[:10]}" if away else "what has no commit"
            allowed = ", ".join(gates.branches)
            raise Refused(f"{name} takes only branches {allowed}, not {which}")


def _has_run(ledger: Ledger, environment: str, artifact: Artifact) -> bool:
    known = ledger.releases.list(environment, limit=1000)
    return any(release.artifact.digest == artifact.digest for release in known)


def _release(
    ledger: Ledger, artifact: Artifact, variables: dict[str, str], job: Job
) -> tuple[Release, RolloutKind]:
    """The release, and which way it goes; a rollback is an execution of its own."""
    content = ArtifactRef(digest=artifact.digest, size=artifact.size)
    if not job.execution:
        release = ledger.releases.create(
            pipeline=flow_run.flow_name or "",
            execution_id="",
            artifact=content,
            revisions={},
            definition_digest="",
            variables=variables,
        )
        return release, "forward"
    execution = ledger.executions.get(job.execution)
    release = ledger.releases.create(
        pipeline=execution.pipeline,
        execution_id=execution.id,
        artifact=content,
        revisions=execution.revisions,
        definition_digest=execution.definition.digest,
        variables={**execution.variables, **variables},
    )
    return release, "rollback" if execution.is_rollback else "forward"
