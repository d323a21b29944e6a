"""What waits for a decision: as a person reads it, as data, and as a list."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter

from prefect_delivery import control
from prefect_delivery.approvals import ApprovalView
from prefect_delivery.cli.codes import OK
from prefect_delivery.cli.terminal import Format, one_line, write, write_json
from prefect_delivery.cli.views import release_title, short
from prefect_delivery.ledger import Ledger

SHOWN = 10
"""Commits and failed tests that are shown; `-o json` has them all."""


def approvals(
    *,
    all_: Annotated[bool, Parameter(name=["--all", "-a"], negative="")] = False,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "text",
) -> int:
    """List what waits for my approval.

    Over all pipelines, the newest execution first, with what there is to decide.

    For example:

        deliver approvals
        deliver approvals --all -o json

    Args:
        all_: Also what waits for others.
        output: `json` for programs.
    """
    ledger = Ledger.open()
    me = control.person()
    waiting = control.approvals_waiting(ledger, None if all_ else me)
    if output == "json":
        write_json([approval_data(view) for view in waiting])
        return OK
    for view in waiting:
        write(f"Ⅱ {one_line(view.title)}")
        for line in approval_lines(view):
            write(f"  {line}")
        execution = view.execution
        which = f"{execution.pipeline} {execution.number}"
        write(f"  deliver approve {which} --action {view.stage}/{view.action}")
    if not waiting:
        write("nothing waits for " + ("anybody" if all_ else one_line(me)))
    return OK


def approval_lines(view: ApprovalView) -> list[str]:
    """What there is to decide, and who has said what, in clean lines."""
    return [one_line(line) for line in _lines(view)]


def approval_data(view: ApprovalView) -> dict[str, Any]:
    """The same as JSON data."""
    execution, ballot = view.execution, view.ballot
    return {
        "pipeline": execution.pipeline,
        "number": execution.number,
        "execution": execution.id,
        "stage": view.stage,
        "action": view.action,
        "attempt": view.run.attempt,
        "message": view.asked.message,
        "link": view.run.link,
        "started_by": execution.started_by,
        "deadline": view.deadline,
        "environment": view.asked.environment,
        "current": view.base.digest if view.base else None,
        "commits": [asdict(commit) for commit in view.commits],
        "reports": [*view.reports],
        "artifacts": ballot.seen.artifacts,
        "revisions": ballot.seen.revisions,
        "definition": ballot.seen.definition,
        "definition_changed": view.definition_changed,
        "fingerprint": view.fingerprint,
        "votes": [asdict(vote) for vote in ballot.votes],
        "missing": [asdict(missing) for missing in ballot.missing],
    }


def _lines(view: ApprovalView) -> Iterator[str]:
    if view.asked.message:
        yield f"asks: {view.asked.message}"
    if view.run.link:
        yield f"see: {view.run.link}"
    if view.asked.environment:
        runs = release_title(view.base)
        yield f"goes to: {view.asked.environment}, which runs {runs}"
    for commit in view.commits[:SHOWN]:
        yield f"commit: {short(commit.commit)} {commit.message} ({commit.author})"
    if len(view.commits) > SHOWN:
        yield f"commits: {len(view.commits) - SHOWN} more"
    for report in view.reports:
        yield f"{report['kind']}: {_report(report)}"
    for name, digest in view.ballot.seen.artifacts.items():
        yield f"artifact: {name} {short(digest)}"
    if view.definition_changed:
        yield "pipeline: its definition has changed since that release"
    for vote in view.ballot.votes:
        said = "approved" if vote.approved else "rejected"
        old = "" if vote in view.ballot.counted else " (does not count)"
        comment = f": {vote.comment}" if vote.comment else ""
        yield f"{said}: {vote.person}{old}{comment}"
    for missing in view.ballot.missing:
        yield f"missing: {missing}"
    if view.deadline:
        yield f"until: {view.deadline.astimezone():%Y-%m-%d %H:%M}"


def _report(report: dict[str, Any]) -> str:
    if report.get("coverage") is not None:
        return f"{report['coverage']:.1f} % ({report['name']})"
    failed = f"{report['failed']} failed, " if report["failed"] else ""
    skipped = f", {report['skipped']} skipped" if report["skipped"] else ""
    return f"{failed}{report['passed']} passed{skipped} ({report['name']})"
