"""Promotions: what runs in one environment goes to another, through its gates."""

from dataclasses import dataclass

from prefect_delivery.blocks.environment import find_environment, ledger_name
from prefect_delivery.definition.models import Action, Pipeline, Stage
from prefect_delivery.engine.approvals import MANUAL
from prefect_delivery.engine.resolve import artifacts_of, variables_of
from prefect_delivery.engine.state import ArtifactRef, Carried, Execution
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger, Release, Rollout
from prefect_delivery.ledger.quarantine import refusal
from prefect_delivery.precedence import newer_in, origin_of

DEPLOY = "deploy/environment"


@dataclass(frozen=True, kw_only=True)
class Found:
    """A release in an environment.

    Attributes:
        execution: The one that put it there.
        artifact: Name of the release's artifact in that execution.
    """

    release: Release
    execution: Execution
    artifact: str


def promote(
    ledger: Ledger,
    pipeline: str,
    source: str,
    target: str,
    *,
    number: int | None = None,
    older: bool = False,
    by: str,
) -> Execution:
    """Record an execution that deploys to `target` what runs in `source`.

    It runs the stage that deploys there, with all its conditions, and the stages right
    before it that only ask for approvals.

    Args:
        number: Of the execution whose release is meant; by default what runs now.
        older: Replace a newer release, too.

    Raises:
        Refused: Both are one environment, nothing runs in `source`, its release was
            rolled back or is in quarantine, `target` runs something newer or belongs
            to another pipeline.
    """
    start = _environment(ledger, pipeline, source)
    found = _release_in(ledger, pipeline, start, number)
    definition = found.execution.definition
    goal = _target_name(definition, target)
    if goal == start:
        raise Refused(f"'{source}' and '{target}' are the same environment")
    for place in (start, goal):
        if kept := ledger.quarantine.of(place, found.release.digest):
            raise refusal(kept)
    _check_order(ledger, goal, found.execution, older)
    snapshot, only = _stages(definition, target, found.artifact)
    carried = artifacts_of(found.execution) | {found.artifact: found.release.artifact}
    _check_artifact(snapshot, only, target, carried[found.artifact].digest, carried)
    origin = origin_of(ledger, found.execution)
    return ledger.executions.start(
        snapshot,
        variables=found.execution.variables,
        revisions=found.release.revisions,
        trigger="promotion",
        started_by=by,
        only=only,
        carried=Carried(
            execution=origin.id,
            artifacts=carried,
            variables=variables_of(found.execution),
            purpose="promotion",
            environment=start,
            older=older,
        ),
        untrusted=found.execution.untrusted,
    )


def _environment(ledger: Ledger, pipeline: str, name: str) -> str:
    """The ledger's name of an environment; that of the pipeline itself comes first."""
    known = {state.name for state in ledger.environments.list()}
    own = f"{pipeline}/{name}"
    found = own if own in known else ledger.environments.get(name).name
    owner = found.partition("/")[0] if "/" in found else pipeline
    if owner != pipeline:
        raise Refused(f"environment '{found}' belongs to pipeline '{owner}'")
    return found


def _target_name(definition: Pipeline, name: str) -> str:
    short = name.removeprefix(f"{definition.pipeline}/")
    if "/" in short:
        owner = short.partition("/")[0]
        raise Refused(f"environment '{name}' belongs to pipeline '{owner}'")
    target = find_environment(short, definition.environments)
    return ledger_name(target, short, definition.pipeline)


def _release_in(
    ledger: Ledger, pipeline: str, environment: str, number: int | None
) -> Found:
    """The release that runs in an environment, or that a numbered execution put there.

    Raises:
        Refused: There is none, it was rolled back, or no execution has put it there.
    """
    current = ledger.releases.current(environment)
    if current is None:
        raise Refused(f"nothing runs in '{environment}'", hint="deliver env ls")
    standing = {release.digest for release in ledger.releases.standing(environment)}
    for rollout in ledger.rollouts.history(environment, limit=1000):
        execution = _execution(ledger, rollout)
        if execution is None or execution.is_rollback:
            continue
        meant = (
            rollout.release == current.digest
            if number is None
            else number in {execution.number, origin_of(ledger, execution).number}
        )
        if not meant:
            continue
        if rollout.status != "committed" or rollout.release not in standing:
            if number is None:
                continue
            raise Refused(
                f"the release of {execution.title} was rolled back in '{environment}'"
                if rollout.status != "open"
                else f"{execution.title} is still being rolled out to '{environment}'",
                hint=f"deliver releases {environment}",
            )
        if execution.pipeline != pipeline:
            raise Refused(f"'{environment}' runs {execution.title}, not '{pipeline}'")
        release = ledger.releases.get(rollout.release)
        return Found(
            release=release,
            execution=execution,
            artifact=_artifact_name(execution, release),
        )
    wanted = f"of {pipeline} #{number}" if number else "that an execution put there"
    raise Refused(
        f"'{environment}' has no release {wanted}",
        hint=f"deliver releases {environment}",
    )


def _execution(ledger: Ledger, rollout: Rollout) -> Execution | None:
    if not rollout.execution_id:
        return None
    return ledger.executions.get(rollout.execution_id)


def _artifact_name(execution: Execution, release: Release) -> str:
    """Under which name the execution deployed the release's artifact."""
    for stage, run in execution.stages.items():
        for name, action in execution.definition.stages[stage].actions.items():
            made = run.actions.get(name, ())
            if any(each.variables.get("release") == release.digest for each in made):
                return _input(action)
    raise Refused(f"{execution.title} does not say what it deployed")


def _input(action: Action) -> str:
    given = action.inputs["artifact"] if isinstance(action.inputs, dict) else ""
    return given if isinstance(given, str) else given[0]


def _deploys_to(stage: Stage, environment: str) -> Action | None:
    for action in stage.actions.values():
        if action.uses == DEPLOY and action.with_.get("environment") == environment:
            return action
    return None


def _stages(
    definition: Pipeline, target: str, artifact: str
) -> tuple[Pipeline, tuple[str, ...]]:
    """The snapshot of a promotion, and its stages: the approvals, then the deployment.

    Without a stage that deploys there, or without the approval that the environment
    asks for, the snapshot gets one more stage.
    """
    short = target.removeprefix(f"{definition.pipeline}/")
    stages = dict(definition.stages)
    gates = find_environment(short, definition.environments).gates
    found = [name for name, stage in stages.items() if _deploys_to(stage, short)]
    goal = found[0] if found else _free(f"Promote-{short}", stages)
    if not found:
        deploy = Action(
            uses=DEPLOY, with_={"environment": short}, inputs={"artifact": artifact}
        )
        stages[goal] = Stage(needs=[], actions={"deploy": deploy})
    only = [*_approvals(stages, goal), goal]
    if gates.needed and not any(_asks(stages[name], short) for name in only):
        extra = _free(f"Approve-{short}", stages)
        ask = Action(uses=MANUAL, with_={"environment": short})
        needs = stages[goal].needs or []
        stages[extra] = Stage(needs=[*needs], actions={"approve": ask})
        stages[goal] = stages[goal].model_copy(update={"needs": [*needs, extra]})
        only.insert(-1, extra)
    if stages == definition.stages:
        return definition, tuple(only)
    return definition.model_copy(update={"stages": stages}), tuple(only)


def _approvals(stages: dict[str, Stage], goal: str) -> list[str]:
    """The stages right before `goal` that do nothing but ask, in order."""
    found, more = list[str](), list(stages[goal].needs or [])
    while more:
        name = more.pop()
        uses = {action.uses for action in stages[name].actions.values()}
        if name not in found and uses == {MANUAL}:
            found.append(name)
            more += stages[name].needs or []
    return [name for name in stages if name in found]


def _asks(stage: Stage, environment: str) -> bool:
    return any(
        action.uses == MANUAL and action.with_.get("environment") == environment
        for action in stage.actions.values()
    )


def _free(name: str, stages: dict[str, Stage]) -> str:
    while name in stages:
        name += "-"
    return name


def _check_artifact(
    snapshot: Pipeline,
    only: tuple[str, ...],
    target: str,
    digest: str,
    artifacts: dict[str, ArtifactRef],
) -> None:
    """Refuse where the target's stage deploys something else."""
    short = target.removeprefix(f"{snapshot.pipeline}/")
    action = _deploys_to(snapshot.stages[only[-1]], short)
    name = _input(action) if action else ""
    if name not in artifacts or artifacts[name].digest != digest:
        raise Refused(
            f"stage {only[-1]} deploys the artifact '{name}', which is not what runs"
        )


def _check_order(
    ledger: Ledger, environment: str, execution: Execution, older: bool
) -> None:
    newer = newer_in(ledger, environment, execution)
    if newer and not older:
        mine = origin_of(ledger, execution)
        raise Refused(
            f"{environment} runs {newer.title}, which is newer than {mine.title}",
            hint="say --older if that is what is meant",
        )
