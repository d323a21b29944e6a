"""What somebody who is to approve should see before deciding."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prefect_delivery.engine.approvals import (
    Asked,
    Ballot,
    Commit,
    ballot_of,
    deadline_of,
)
from prefect_delivery.engine.people import key_of
from prefect_delivery.engine.resolve import variables_of
from prefect_delivery.engine.state import ActionRun, Execution, Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger, Release


@dataclass(frozen=True, kw_only=True)
class ApprovalView:
    """One attempt at an approval, with all that the decision is about.

    Attributes:
        asked: The environment and the commits, as they were when it was asked.
        base: The release that ran in the environment then; None for none.
        commits: Those that are new there; without an environment, the revisions.
        reports: Test and coverage reports of the execution so far.
        ballot: The rules, the digests, and the votes so far.
        deadline: When it times out; None for never.
    """

    execution: Execution
    stage: str
    action: str
    run: ActionRun
    asked: Asked
    base: Release | None
    commits: tuple[Commit, ...]
    reports: tuple[dict[str, Any], ...]
    ballot: Ballot
    deadline: datetime | None

    @property
    def title(self) -> str:
        return f"{self.execution.title} {self.stage} / {self.action}"

    @property
    def fingerprint(self) -> str:
        """Of what is shown; give it to `control.approve` as `seen`."""
        return self.ballot.seen.fingerprint

    @property
    def definition_changed(self) -> bool:
        """Whether the release before was made by another definition."""
        theirs = self.base.definition_digest if self.base else None
        return theirs not in {None, self.execution.definition.digest}

    def waits_for(self, person: str) -> bool:
        """Whether a person may approve it, has not done so, and is needed."""
        return (
            self.run.status is Status.WAITING
            and not self.ballot.objection(person, approved=True)
            and key_of(person) not in {key_of(v.person) for v in self.ballot.counted}
            and any(
                self.ballot.policy.groups[missing.group].has(person)
                for missing in self.ballot.missing
            )
        )


def view_of(
    ledger: Ledger, execution: Execution, stage: str, action: str
) -> ApprovalView:
    """What the latest attempt at an approval is about, and how it stands.

    Raises:
        Refused: The action has not begun.
    """
    entered = execution.stages.get(stage)
    attempts = entered.actions.get(action, ()) if entered else ()
    if not attempts:
        raise Refused(f"{execution.title} / {stage} / {action} has not begun")
    run = attempts[-1]
    votes = ledger.votes.list(execution.id).get((stage, action, run.attempt), ())
    asked = Asked.of(run)
    return ApprovalView(
        execution=execution,
        stage=stage,
        action=action,
        run=run,
        asked=asked,
        base=ledger.releases.get(asked.base) if asked.base else None,
        commits=asked.commits or tuple(_revisions(execution)),
        reports=tuple(_reports(execution)),
        ballot=ballot_of(execution, stage, action, run, votes),
        deadline=deadline_of(execution, stage, action, run),
    )


def _revisions(execution: Execution) -> Iterator[Commit]:
    """What each source brought."""
    for variables in variables_of(execution).values():
        if variables.get("commit") and "author" in variables:
            yield Commit(
                commit=variables["commit"],
                author=variables["author"],
                committer=variables.get("committer", ""),
                message=variables.get("message", "").partition("\n")[0],
            )


def _reports(execution: Execution) -> Iterator[dict[str, Any]]:
    for run in execution.stages.values():
        for attempts in run.actions.values():
            yield from attempts[-1].reports
