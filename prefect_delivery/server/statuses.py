"""Tells forges how executions stand: one status for each stage, and one for the whole.

What is to be told is worked out from the ledger each time, and what was told is noted
after it was. So nothing is lost when a process or a forge is down; a status may be told
twice, which changes nothing.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from prefect.utilities.urls import url_for

from prefect_delivery.engine.state import Execution
from prefect_delivery.engine.state import Status as Standing
from prefect_delivery.errors import ActionFailed
from prefect_delivery.forges.statuses import (
    APIS,
    CALLS,
    Call,
    Page,
    State,
    Status,
    check_run,
)
from prefect_delivery.ledger import Ledger, Told
from prefect_delivery.secrets import fetch_secrets
from prefect_delivery.server.connections import Configuration, Connection
from prefect_delivery.stage_view import stage_table
from prefect_delivery.trigger_filters import WatchedSource, sources_of

Say = Callable[[str], None]
DAYS = 2.0
"""After its end, for which an execution's statuses are tried."""
MOST = 200
MOST_TRIES = 12
LONGEST_PAUSE = 3600.0
SECONDS = 10.0
"""That a forge has to answer."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LOG = logging.getLogger("prefect_delivery.server")


@dataclass
class Publisher:
    """Tells the forges of a configuration what is new."""

    configuration: Configuration
    ledger: Ledger
    say: Say = _LOG.info
    _no_checks: set[str] = field(default_factory=set[str])
    """Connections whose token may not write check runs."""
    _settled: set[tuple[str, datetime | None]] = field(
        default_factory=set[tuple[str, datetime | None]]
    )
    """Executions that have ended, and of which everything is told."""

    @property
    def has_work(self) -> bool:
        """Whether any forge wants to be told."""
        return any(c.token for c in self.configuration.connections.values())

    def publish(self) -> int:
        """Tell what was not told yet; how many statuses that were."""
        count = 0
        unsettled = self.ledger.statuses.unsettled(days=DAYS, limit=MOST)
        self._settled &= set(unsettled)
        with httpx.Client(timeout=SECONDS, follow_redirects=False) as client:
            for id, ended in unsettled:
                if (id, ended) in self._settled:
                    continue
                sent, left = self._publish(client, self.ledger.executions.get(id))
                count += sent
                if ended and not sent and not left:
                    self._settled.add((id, ended))
        return count

    def _publish(self, client: httpx.Client, execution: Execution) -> tuple[int, int]:
        """How many statuses were told now, and how many are not due yet."""
        places = list(self._places(execution))
        told = self.ledger.statuses.told(execution.id) if places else {}
        count = left = 0
        for name, connection, repository, commit in places:
            for status in statuses_of(execution, repository, commit):
                key = f"{name} {repository} {status.context}"
                known = told.get(key)
                said = _said(status)
                if known and known.said == said:
                    continue
                if known and not known.due:
                    left += 1
                    continue
                self._tell(client, name, connection, execution.id, status, key, known)
                count += 1
        return count, left

    def _places(
        self, execution: Execution
    ) -> Iterator[tuple[str, Connection, str, str]]:
        """Where an execution's commits are: connection, repository and commit."""
        for source in sources_of(execution.definition):
            commit = execution.revisions.get(source.name, "")
            path = _path(source)
            if path is None or not _COMMIT.fullmatch(commit):
                continue
            for name, connection in self.configuration.connections.items():
                if connection.token and connection.may_speak_of(source.named):
                    yield name, connection, path, commit
                    break

    def _tell(
        self,
        client: httpx.Client,
        name: str,
        connection: Connection,
        execution_id: str,
        status: Status,
        key: str,
        known: Told | None,
    ) -> None:
        said = _said(status)
        try:
            answer = self._send(client, name, connection, status)
        except (httpx.HTTPError, ActionFailed) as error:
            reason, again = f"{type(error).__name__}: {error}", True
        else:
            if answer.is_success or _is_so_already(connection, answer):
                self.ledger.statuses.note(execution_id, key, said=said)
                return
            reason = f"answers {answer.status_code}"
            again = answer.status_code >= 500 or answer.status_code in {408, 429}
        tries = (known.tries if known else 0) + 1
        self.say(f"{name}: {status.context} is not told: {reason}")
        if again and tries < MOST_TRIES:
            before = known.said if known else ""
            pause = min(LONGEST_PAUSE, 5.0 * 2**tries)
            more: dict[str, Any] = {"said": before, "tries": tries, "seconds": pause}
        else:
            more = {"said": said}  # given up; what is newer is tried again
        self.ledger.statuses.note(execution_id, key, error=reason, **more)

    def _send(
        self, client: httpx.Client, name: str, connection: Connection, status: Status
    ) -> httpx.Response:
        token = fetch_secrets({"token": connection.token or ""})["token"]
        api = connection.api or APIS[connection.forge]

        def post(call: Call) -> httpx.Response:
            return client.post(
                api.rstrip("/") + call.path,
                json=call.body,
                headers={"Accept": "application/json", **_access(connection, token)},
            )

        checks = connection.forge == "github" and name not in self._no_checks
        if checks and status.page:
            answer = post(check_run(status, status.page))
            if answer.status_code not in {401, 403, 404}:
                return answer
            self._no_checks.add(name)  # the token is not an App's
        return post(CALLS[connection.forge](status))


def _path(source: WatchedSource) -> str | None:
    """What a forge calls the repository of a source; None where no forge has it."""
    match source.uses:
        case "source/git" | "source/github":
            return source.address.partition("/")[2]
        case "source/connection":
            return source.with_.get("full_repository_id")
        case _:
            return None


def statuses_of(execution: Execution, repository: str, commit: str) -> list[Status]:
    """What there is to say of an execution: of each stage it entered, and of all."""
    link = url_for("flow-run", UUID(execution.flow_run)) if execution.flow_run else None
    context = f"delivery/{execution.pipeline}"
    found = []
    for name, stage in execution.stages.items():
        words = f"{execution.title}: {stage.reason or stage.status}"
        found.append(
            Status(
                repository=repository,
                commit=commit,
                link=link,
                context=f"{context}/{name}",
                state=_state(stage.status),
                description=words,
            )
        )
    words = f"{execution.title}: {execution.reason or execution.status}"
    page = Page(
        title=words,
        # Times that run on would make each look at it a new one.
        summary=stage_table(execution, now=execution.ended or execution.started),
        annotations=tuple(_annotations(execution)),
    )
    whole = Status(
        repository=repository,
        commit=commit,
        link=link,
        context=context,
        state=_state(execution.status),
        description=words,
        page=page,
    )
    return [*found, whole]


def _state(status: Standing) -> State:
    match status:
        case Standing.SUCCEEDED | Standing.SKIPPED:
            return "success"
        case Standing.FAILED:
            return "failure"
        case Standing.STOPPED | Standing.CANCELLED | Standing.SUPERSEDED:
            return "stopped"
        case _:
            return "pending"


def _annotations(execution: Execution) -> Iterator[dict[str, Any]]:
    """The failed tests whose place in a file is known."""
    for stage in execution.stages.values():
        for attempts in stage.actions.values():
            for report in attempts[-1].reports:
                for failure in report.get("failures", ()):
                    path, line = failure.get("file"), failure.get("line", "")
                    if path and line.isdigit() and int(line):
                        message = failure.get("message") or failure.get("name", "")
                        yield {"path": path, "line": int(line), "message": message}


def _said(status: Status) -> str:
    parts = [status.commit, status.state, status.description, status.link]
    return json.dumps(parts)


def _access(connection: Connection, token: str) -> dict[str, str]:
    match connection.forge:
        case "gitlab":
            return {"PRIVATE-TOKEN": token}
        case "gitea":
            return {"Authorization": f"token {token}"}
        case _:
            return {"Authorization": f"Bearer {token}"}


def _is_so_already(connection: Connection, answer: httpx.Response) -> bool:
    """GitLab refuses to be told the same state again."""
    return (
        connection.forge == "gitlab"
        and answer.status_code == 400
        and "Cannot transition status" in answer.text
    )
