"""Ask people before the pipeline goes on."""

from dataclasses import replace

from pydantic import PositiveInt, ValidationError

from prefect_delivery.actions import ActionFailed, Job, Outputs, action
from prefect_delivery.blocks.environment import find_environment, ledger_name
from prefect_delivery.engine.approvals import ASKED, Asked
from prefect_delivery.engine.policies import Approvers, Group, Person, policy_of
from prefect_delivery.engine.state import Execution
from prefect_delivery.ledger import Ledger, Release
from prefect_delivery.precedence import origin_of
from prefect_delivery.tasks.source.history import (
    SHOWN,
    History,
    commits_between,
    sources_of,
)

_MOST = 80_000
"""Bytes of what is asked about; with the rest it stays under CodePipeline's quota."""


@action(
    "approval/manual",
    variables={
        "environment": "environment that it is for, as the ledger names it",
        ASKED: "what was asked about, as JSON",
    },
)
def ask(
    *,
    message: str = "",
    link: str | None = None,
    environment: str | None = None,
    approvers: list[Person] = [],
    count: PositiveInt = 1,
    groups: dict[str, Group] = {},
    forbid_author: bool | None = None,
    anonymous: bool = False,
    job: Job = Job(),
) -> Outputs:
    """Wait until enough people approve, or one rejects.

    A local run asks in the terminal; any run can be answered with `deliver approve` or
    `deliver reject`. Each vote is recorded in the ledger with person, time and comment,
    for exactly the artifacts, revisions and definition that there were. `timeout` of the
    action says how long it waits. With no approvers, groups or gates, anybody decides.

    People are logins or e-mail addresses. A login stands for the address that begins
    with it, and whoever shares the part before `@` is taken for one person.

    Args:
        message: What to look at before deciding.
        link: Where to look.
        environment: The environment that it is for: its gates must approve as well, and
            the commits since the release that runs there are shown.
        approvers: Those who may approve.
        count: How many of the approvers must approve.
        groups: People by group, each with its own count; every group must approve.
        forbid_author: Nobody approves what they wrote or started: as author, committer
            or co-author of the commits, or as who started the execution. By default so
            where approvers, a count or groups are given.
        anonymous: Answers on the form of a suspended run in Prefect's UI count, though
            nobody knows whose they are. For an environment, it decides that itself.

    Returns:
        At once, as waiting; the votes end the action later.

    Raises:
        ActionFailed: There are fewer approvers than must approve, or it cannot be told
            who wrote the commits.

    Source: CodePipeline user guide, "Add a manual approval action to a stage".
    """
    try:
        own = Approvers(
            approvers=approvers,
            count=count,
            groups=groups,
            forbid_author=forbid_author,
            anonymous=anonymous,
        )
    except ValidationError as error:
        raise ActionFailed(error.errors()[0]["msg"]) from error
    asked = _asked(environment, own, job) if job.execution else Asked()
    # The summary becomes who has decided; what was asked is kept as well.
    asked = replace(asked, message=message)
    if message:
        job.log(message)
    if link:
        job.log(f"see {link}")
    for name, group in policy_of(own, asked.gates, asked.environment).groups.items():
        people = ", ".join(group.people or ())
        job.log(f"asks {group.count} of {name}" + (f": {people}" if people else ""))
    return Outputs(
        waiting=True,
        summary=message or None,
        link=link,
        variables={"environment": asked.environment or "", ASKED: asked.as_text()},
    )


def _asked(environment: str | None, own: Approvers, job: Job) -> Asked:
    """What there is to decide: the commits, and the environment's own rules."""
    if environment is None:
        return Asked()
    target = find_environment(environment, job.environments)
    name = ledger_name(target, environment, job.pipeline)
    with Ledger.open() as ledger:
        execution = origin_of(ledger, ledger.executions.get(job.execution))
        current = ledger.releases.current(name)
    must_know = own.forbids_author or target.gates.forbids_author
    history = _since(current, execution, must_know, job)
    asked = Asked(
        environment=name,
        base=current.digest if current else None,
        gates=target.gates,
        commits=history.commits,
        people=tuple(sorted(history.people)),
    )
    if len(asked.as_text()) > _MOST:
        raise ActionFailed(
            f"more than {_MOST:,} bytes of people and commits since {name}'s release",
            hint="approve smaller steps",
        )
    return asked


def _since(
    current: Release | None, execution: Execution, must_know: bool, job: Job
) -> History:
    """All commits that the current release does not have, of every git source."""
    found = History()
    for source in sources_of(execution):
        base = current.revisions.get(source.action) if current else None
        if base is None:
            continue
        try:
            more = commits_between(base, source, job)
        except ActionFailed as failure:
            if must_know:
                raise ActionFailed(
                    f"cannot tell who wrote what since the release: {failure.message}",
                    hint=failure.hint,
                ) from failure
            job.log(f"commits since the release are not known: {failure.message}")
            continue
        found = History(
            commits=(found.commits + more.commits)[:SHOWN],
            people=found.people | more.people,
        )
    return found
