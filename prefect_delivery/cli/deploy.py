"""The command `deploy`: let pipelines start by themselves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from prefect_delivery import control
from prefect_delivery.cli.codes import OK, USAGE
from prefect_delivery.cli.definitions import DEFAULT
from prefect_delivery.cli.differences import differences
from prefect_delivery.cli.drive import UseServer
from prefect_delivery.cli.terminal import (
    Format,
    complain,
    one_line,
    pairs,
    write,
    write_json,
)
from prefect_delivery.cli.worker import POOL
from prefect_delivery.definition import Pipeline
from prefect_delivery.definition.triggers import ring_of, unstartable
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger

if TYPE_CHECKING:
    from prefect_delivery.deployments.live import Live
    from prefect_delivery.deployments.origin import Origin

Flag = Annotated[bool, Parameter(negative="")]
Words = Annotated[list[str], Parameter(negative="", show_default=False)]
Verdict = Literal["new", "changed", "unchanged", "gone"]
MINUTE = 60.0
MARKS = {"new": "+", "changed": "~", "unchanged": "=", "gone": "-"}


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What becomes of one deployment.

    Attributes:
        differences: Between what Prefect has and what it is told now.
        by_hand: What somebody has changed in Prefect since it was told last.
    """

    pipeline: str
    verdict: Verdict
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    definition: Pipeline | None = None
    origin: "Origin | None" = None
    differences: list[str] = field(default_factory=list[str])
    by_hand: list[str] = field(default_factory=list[str])


def deploy(
    *files: Path,
    pool: str = POOL,
    queue: str | None = None,
    tag: Words = [],
    job_variable: Annotated[
        list[str],
        Parameter(name=["--job-variable", "-j"], negative="", show_default=False),
    ] = [],
    prune: Flag = False,
    dry_run: Flag = False,
    notify: str | None = None,
    poll: Annotated[float, Parameter(validator=Number(gte=10))] = 60,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "text",
) -> int:
    """Let pipelines start by themselves: at pushes, at times, from Prefect's page.

    Each definition becomes a Prefect deployment. Only what has changed is applied; runs
    that go on are left alone, with the definition they began with. What somebody has
    changed by hand in Prefect is shown, and set right.

    For example:

        deliver deploy
        deliver deploy services --prune       # all of a monorepo, and no others
        deliver deploy --pool release -j env='{"STAGE": "prod"}' --tag team-web
        deliver deploy --notify slack-webhook/team
        deliver deploy --dry-run

    Args:
        files: Definitions, or folders with delivery.yaml and *.delivery.yaml files;
            delivery.yaml by default.
        pool: Work pool whose workers carry the pipelines out; made when it is missing.
        queue: Of the pool.
        tag: Beside `delivery`, for Prefect's lists.
        job_variable: For the pool's workers, as name=value; JSON where it is JSON.
        prune: Remove deployments that came from these files or folders, whose
            definitions are gone.
        dry_run: Only show what would be changed.
        notify: A saved notification block, as type/name: Prefect gets automations that
            tell it of failed executions and of approvals that wait. They are made where
            they are missing, left as they are edited, and removed with the deployment.
        poll: Seconds between two looks at the sources, which find lost webhooks.
        output: `json` for programs.

    Returns:
        0; with `--dry-run`, 2 when something would be changed.
    """
    from prefect_delivery.deployments.origin import definitions_in, origin_of

    places = files or (DEFAULT,)
    existing = [place for place in places if place.exists() or not prune]
    found = definitions_in(existing)
    options: dict[str, Any] = {
        "pool": pool,
        "queue": queue,
        "tags": tag,
        "job_variables": _job_variables(job_variable),
    }
    ledger = Ledger.open()
    _refuse_rings(ledger, [*found.values()])
    from prefect_delivery.deployments.automations import block_of
    from prefect_delivery.deployments.live import live

    with UseServer(local=False), live() as server:
        if other := server.other_version():
            complain(f"warning: {other}")
        if notify is not None:
            block_of(server.client, notify)  # refused before anything is changed
        server.check_job_variables(pool, options["job_variables"])
        pools = {pool for each in found.values() for pool in each.pools}
        for told in server.check_pools(sorted(pools)):
            complain(f"warning: {told}")
        planned = [
            _plan(ledger, server, definition, origin_of(file), options)
            for file, definition in found.items()
        ]
        if prune:
            kept = {each.pipeline for each in planned}
            scopes = [origin_of(place) for place in places]
            planned += _gone(ledger, kept, scopes)
        if output == "text":
            for each in planned:
                _tell(each, dry_run)
        if not dry_run:
            _carry_out(ledger, server, planned, pool)
            _keep_rounds(ledger, server, pool, poll, options["job_variables"])
            if notify is not None:
                _keep_automations(server, planned, notify)
    if output == "json":
        write_json([_data(each) for each in planned])
    changed = any(each.verdict != "unchanged" for each in planned)
    return USAGE if dry_run and changed else OK


def _plan(
    ledger: Ledger,
    server: "Live",
    definition: Pipeline,
    origin: "Origin",
    options: dict[str, Any],
) -> Planned:
    from prefect_delivery.deployments.definitions import settings_of

    name = definition.pipeline
    wanted = settings_of(definition, **options)
    there, known = server.read(name), ledger.deployments.find(name)
    if there is None:
        verdict: Verdict = "new"
    else:
        same = there == wanted and known is not None and known.settings == wanted
        verdict = "unchanged" if same else "changed"
    return Planned(
        pipeline=name,
        verdict=verdict,
        settings=wanted,
        definition=definition,
        origin=origin,
        differences=differences(there, wanted) if there else [],
        by_hand=differences(known.settings, there) if known and there else [],
    )


def _gone(ledger: Ledger, kept: set[str], scopes: "list[Origin]") -> Iterator[Planned]:
    from prefect_delivery.deployments.origin import Origin

    for each in ledger.deployments.list():
        name = each.definition.pipeline
        place = Origin(place=each.origin, file=each.file)
        if name not in kept and any(scope.holds(place) for scope in scopes):
            yield Planned(pipeline=name, verdict="gone", origin=place)


def _carry_out(
    ledger: Ledger, server: "Live", planned: list[Planned], pool: str
) -> None:
    by = control.person()
    if any(each.definition for each in planned) and (told := server.need_pool(pool)):
        complain(f"warning: {told}", f"deliver worker {pool}")
    for each in planned:
        if each.verdict == "gone":
            # First in the ledger: what is not deployed there, no change starts.
            ledger.deployments.remove(each.pipeline, by=by)
            server.remove(each.pipeline)
        elif each.verdict != "unchanged" and each.definition and each.origin:
            deployment = server.apply(each.pipeline, each.settings)
            ledger.deployments.note(
                each.definition,
                deployment=str(deployment),
                origin=each.origin.place,
                file=each.origin.file,
                settings=each.settings,
                by=by,
            )


def _keep_rounds(
    ledger: Ledger,
    server: "Live",
    pool: str,
    every: float,
    job_variables: dict[str, Any],
) -> None:
    """Let Prefect reconcile, and watch where changes start a pipeline.

    Watching hands over, too, what Prefect could not be told of when a change came.
    """
    from prefect_delivery.deployments.keeping import RECONCILE, WATCH, keep

    deployed = ledger.deployments.list()
    rounds = {RECONCILE: MINUTE} if deployed else {}
    if any(
        on.push is not None or on.pull_request is not None or on.pipeline
        for on in (each.definition.on for each in deployed)
    ):
        rounds[WATCH] = every
    for each, seconds in rounds.items():
        keep(
            server.client,
            each,
            pool=pool,
            every=seconds,
            job_variables=job_variables,
        )


def _keep_automations(server: "Live", planned: list[Planned], block: str) -> None:
    from prefect_delivery.deployments.automations import keep_automations

    for each in planned:
        if each.verdict != "gone":
            keep_automations(server.client, each.pipeline, block)


def _refuse_rings(ledger: Ledger, definitions: list[Pipeline]) -> None:
    """Refuse pipelines whose success would start each other for ever."""
    known = {
        each.definition.pipeline: each.definition for each in ledger.deployments.list()
    }
    ring = ring_of({**known, **{each.pipeline: each for each in definitions}})
    if ring:
        raise Refused(
            f"the success of {' and '.join(ring)} would start each other for ever",
            hint="take one of them out of `on: pipeline:`",
        )


def _tell(each: Planned, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    word = {
        "new": f"{would}deployed",
        "changed": f"{would}deployed again",
        "unchanged": "unchanged",
        "gone": f"{would}removed, its definition is gone",
    }[each.verdict]
    write(f"{MARKS[each.verdict]} {one_line(each.pipeline)}  {word}")
    if each.by_hand:
        done = "would be set right" if dry_run else "set right"
        complain(f"warning: {each.pipeline} was changed by hand in Prefect; {done}:")
        for line in each.by_hand:
            complain(f"    {one_line(line)}")
    if each.definition and (told := unstartable(each.definition)):
        complain(f"warning: {told}")
    for line in each.differences:
        write(f"    {one_line(line)}")


def _data(each: Planned) -> dict[str, Any]:
    return {
        "pipeline": each.pipeline,
        "verdict": each.verdict,
        "differences": each.differences,
        "by_hand": each.by_hand,
    }


def _job_variables(words: list[str]) -> dict[str, Any]:
    return {name: _value(text) for name, text in pairs(words, "-j").items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
