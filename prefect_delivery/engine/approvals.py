"""Who may approve what, and when it is approved: pure rules over recorded votes."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from prefect_delivery.engine.people import key_of, writers
from prefect_delivery.engine.policies import (
    ANONYMOUS,
    Approvers,
    Gates,
    Policy,
    policy_of,
)
from prefect_delivery.engine.resolve import call_of, variables_of
from prefect_delivery.engine.state import ActionRun, Execution, Status

MANUAL: Final = "approval/manual"
ASKED: Final = "asked"
"""Output variable in which a waiting approval keeps what it asked about."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit that is to be approved."""

    commit: str
    author: str
    committer: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an approval asks about, as its action found it.

    Attributes:
        message: What to look at before deciding, in the words of the definition.
        environment: The ledger's name of the environment it is for, if for one.
        base: Digest of the release that ran there; None for none.
        gates: The environment's gates.
        commits: Those since `base`, the newest first; at most a hundred.
        people: Who wrote any commit since `base`, as `key_of` says.
    """

    message: str = ""
    environment: str | None = None
    base: str | None = None
    gates: Gates = field(default_factory=Gates)
    commits: tuple[Commit, ...] = ()
    people: tuple[str, ...] = ()

    def as_text(self) -> str:
        """This as the text of an output variable."""
        gates = self.gates.model_dump(mode="json", exclude_defaults=True)
        rest = {
            "message": self.message,
            "environment": self.environment,
            "base": self.base,
            "commits": [asdict(commit) for commit in self.commits],
            "people": self.people,
        }
        return json.dumps({**rest, "gates": gates})

    @classmethod
    def of(cls, run: ActionRun) -> "Asked":
        """What a waiting or decided attempt asked about."""
        text = run.variables.get(ASKED)
        if not text:
            return cls()
        data: dict[str, Any] = json.loads(text)
        return cls(
            message=data["message"],
            environment=data["environment"],
            base=data["base"],
            gates=Gates.model_validate(data["gates"]),
            commits=tuple(Commit(**commit) for commit in data["commits"]),
            people=tuple(data["people"]),
        )


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a decision is about; a decision about anything else does not count.

    Attributes:
        artifacts: Digests by name, of all that was made before the approval.
        revisions: By source action.
        definition: Digest of the definition.
    """

    artifacts: dict[str, str]
    revisions: dict[str, str]
    definition: str

    @property
    def fingerprint(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Vote:
    """What one person said of one attempt at an approval.

    Attributes:
        groups: Those that the person counted for when voting.
        fingerprint: Of what the person decided about.
    """

    person: str
    approved: bool
    comment: str
    when: datetime
    groups: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Missing:
    """People of a group who must still approve."""

    group: str
    count: int
    people: tuple[str, ...] | None

    def __str__(self) -> str:
        if self.people is None:
            return f"{self.count} more" if self.count > 1 else "one more"
        people = ", ".join(self.people) or "none of whom may"
        return f"{self.count} of {self.group} ({people})"


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """One attempt at an approval: its rules, what it is about, and its votes.

    Attributes:
        authors: Who wrote or started it, as `key_of` says.
    """

    policy: Policy
    seen: Seen
    authors: frozenset[str]
    votes: tuple[Vote, ...] = ()

    @property
    def counted(self) -> list[Vote]:
        """The votes that count: about this very thing, by those who may."""
        return [
            vote
            for vote in self.votes
            if vote.fingerprint == self.seen.fingerprint
            and not self.objection(vote.person, approved=vote.approved)
        ]

    @property
    def rejected(self) -> bool:
        """Whether anybody who may has said no."""
        return any(not vote.approved for vote in self.counted)

    @property
    def missing(self) -> tuple[Missing, ...]:
        """Who must still approve."""
        said = {key_of(vote.person): vote.person for vote in self.counted}
        for vote in self.counted:
            if not vote.approved:
                said.pop(key_of(vote.person), None)
        found = []
        for name, group in self.policy.groups.items():
            have = {key for key, person in said.items() if group.has(person)}
            if len(have) < group.count:
                people = group.people and tuple(
                    entry
                    for entry in group.people
                    if key_of(entry) not in have
                    and not self.objection(entry, approved=True)
                )
                count = group.count - len(have)
                found.append(Missing(group=name, count=count, people=people))
        return tuple(found)

    @property
    def approved(self) -> bool:
        """Whether every group has approved and nobody has said no."""
        return not self.rejected and not self.missing

    def objection(self, person: str, *, approved: bool) -> str | None:
        """Why a person may not vote so; None when they may."""
        if person == ANONYMOUS and not self.policy.anonymous:
            return "nobody knows who answered in Prefect's UI"
        if person == ANONYMOUS and approved and self.policy.forbid_author:
            return "nobody knows whether who answered wrote or started it"
        if not self.policy.groups_of(person):
            return f"{person} is not asked"
        if approved and self.policy.forbid_author and key_of(person) in self.authors:
            return f"{person} wrote or started it"
        return None


def ballot_of(
    execution: Execution,
    stage: str,
    action: str,
    run: ActionRun,
    votes: Iterable[Vote] = (),
) -> Ballot:
    """The ballot of one attempt at an approval."""
    asked = Asked.of(run)
    own = _own_rules(execution, stage, action)
    return Ballot(
        policy=policy_of(own, asked.gates, asked.environment),
        seen=seen_by(execution, stage, action),
        authors=authors_of(execution) | frozenset(asked.people),
        votes=tuple(votes),
    )


def deadline_of(
    execution: Execution, stage: str, action: str, run: ActionRun
) -> datetime | None:
    """When an attempt times out; None for never."""
    minutes = execution.definition.stages[stage].actions[action].timeout
    return run.started + timedelta(minutes=minutes) if minutes else None


def gate_problem(
    execution: Execution,
    gates: Gates,
    environment: str,
    artifact: str,
    votes: Mapping[tuple[str, str, int], Sequence[Vote]],
) -> str | None:
    """Why an artifact may not be deployed to an environment; None when it may.

    Everything is judged by the gates as they are now: whoever has left a group since
    voting counts no more.

    Args:
        artifact: Its digest.
        votes: Of the execution, by stage, action and attempt.
    """
    if not gates.admits(execution.pipeline):
        return f"{environment} takes nothing from pipeline '{execution.pipeline}'"
    if not gates.needed:
        return None
    problem = f"{environment} needs an approval that names it, and {execution.title}"
    problem += " has none for this artifact"
    for stage, action, run in _approvals(execution, environment):
        ballot = ballot_of(
            execution, stage, action, run, votes.get((stage, action, run.attempt), ())
        )
        if artifact not in ballot.seen.artifacts.values():
            continue
        # The action's own groups were counted when it ended; the environment decides
        # now by the people it names now.
        now = replace(ballot, policy=policy_of(gates))
        if now.approved:
            return None
        lacks = " and ".join(str(missing) for missing in now.missing)
        problem = f"{environment} lacks the approval of {lacks}"
    return problem


def seen_by(execution: Execution, stage: str, action: str) -> Seen:
    """What somebody who decides sees: all that was made before the approval began.

    What stages and actions beside it make meanwhile is no part of it.
    """
    carried = execution.carried.artifacts if execution.carried else {}
    artifacts = {name: ref.digest for name, ref in carried.items()}
    before = [*_before(execution, stage, action)]
    for _, _, run in before:
        if run.status is Status.SUCCEEDED:
            artifacts |= {name: ref.digest for name, ref in run.artifacts.items()}
    names = {name for _, name, _ in before}
    revisions = {
        name: revision
        for name, revision in execution.revisions.items()
        if execution.carried or name in names
    }
    return Seen(
        artifacts=artifacts, revisions=revisions, definition=execution.definition.digest
    )


def authors_of(execution: Execution) -> frozenset[str]:
    """Who wrote the revisions of an execution, and who started it."""
    found = {key_of(execution.started_by)}
    for variables in variables_of(execution).values():
        if "commit" in variables:
            found |= set(
                writers(
                    variables.get("author", ""),
                    variables.get("committer", ""),
                    variables.get("message", ""),
                )
            )
    return frozenset(found - {""})


def _own_rules(execution: Execution, stage: str, action: str) -> Approvers:
    spec = execution.definition.stages[stage].actions[action]
    if spec.uses != MANUAL:
        return Approvers()
    given = call_of(execution, stage, action).configuration
    known = {name: given[name] for name in Approvers.model_fields if name in given}
    return Approvers.model_validate(known)


def _approvals(
    execution: Execution, environment: str
) -> Iterator[tuple[str, str, ActionRun]]:
    """The approvals for an environment that were given, by their latest attempts."""
    for stage, run in execution.stages.items():
        for action, attempts in run.actions.items():
            spec = execution.definition.stages[stage].actions.get(action)
            last = attempts[-1]
            if (
                spec is not None  # a rule's attempts are kept there as well
                and spec.uses == MANUAL
                and last.status is Status.SUCCEEDED
                and Asked.of(last).environment == environment
            ):
                yield stage, action, last


def _before(
    execution: Execution, stage: str, action: str
) -> Iterator[tuple[str, str, ActionRun]]:
    """The latest attempts of all that comes before an action."""
    stages = execution.definition.stages
    needed, more = set[str](), list(stages[stage].needs or ())
    while more:
        name = more.pop()
        if name not in needed:
            needed.add(name)
            more += stages[name].needs or ()
    order = stages[stage].actions[action].run_order
    for name, run in execution.stages.items():
        for each, spec in stages[name].actions.items():
            earlier = name in needed or (name == stage and spec.run_order < order)
            if earlier and each in run.actions:
                yield name, each, run.actions[each][-1]
