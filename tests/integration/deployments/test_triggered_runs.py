"""Pushes, events, schedules, forms and other pipelines start runs on a stock worker."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
from git_http import GitServer
from git_work import Developer
from prefect.states import Scheduled
from team import Team

from prefect_delivery.engine.state import Status

FAST = {"command": f"{sys.executable} -m prefect.engine"}


def tell(team: Team, name: str) -> None:
    """Tell Prefect of an event, as anything on the network may."""
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": name,
        "resource": {"prefect.resource.id": "image.shop"},
    }
    httpx.post(f"{team.machine.url}/events", json=[event]).raise_for_status()


def test_everything_that_starts_a_pipeline_starts_it_once(
    team: Team, git_server: GitServer, tmp_path: Path
) -> None:
    developer = Developer(tmp_path / "code")
    name = tmp_path.name.replace("_", "-")
    developer.git("remote", "add", "origin", str(git_server.create(name)))
    developer.commit("one", {"a": "1"})
    developer.push()
    url = git_server.url(name)
    team.work()
    team.write(
        "asked", "variables: {greeting: {}}", url=url, text="#{variables.greeting}"
    )
    team.write("pushed", "on: {push: {branches: [main]}}", url=url)
    team.write("after", "on: {pipeline: [pushed], event: [image.pushed]}", url=url)
    job = f"command={json.dumps(FAST['command'])}"
    team.deploy("asked", "pushed", "after", "-j", job, "--poll", "86400")

    # A form, with a field left empty.
    team.ask("asked", variables={"greeting": "hi"}, revisions={"app": ""})
    # What was asked for before a definition is deployed anew runs as it was asked for.
    team.write("asked", "variables: {greeting: {}}", url=url, text="new")
    assert "definition.stages.Build" in team.deploy("asked", "-j", job)
    by_form = team.ended("asked")
    # A push that no webhook tells of, and the success of what it starts.
    team.deliver("watch", "--once")
    commit = developer.commit("two", {"a": "2"})
    developer.push()
    looked = team.deliver("watch", "--once")
    by_push = team.ended("pushed")
    by_success = team.ended("after")
    # A time that comes twice, as it does when a schedule is deployed again.
    soon = datetime.now(UTC) + timedelta(seconds=1)
    for _ in range(2):
        team.client.create_flow_run_from_deployment(
            team.deployment("after").id,
            parameters={"trigger": "schedule daily"},
            state=Scheduled(scheduled_time=soon),
        )
    by_time = team.ended("after", 2)
    tell(team, "image.lost")
    tell(team, "image.pushed")
    by_event = team.ended("after", 3)
    again = team.deliver("watch", "--once")

    assert by_form.status is Status.SUCCEEDED, by_form.reason
    make = by_form.definition.stages["Build"].actions["package"].with_
    assert make["environment"] == {"TEXT": "#{variables.greeting}"}
    assert by_form.variables == {"greeting": "hi"}
    assert "pushed #1: push to main" in looked.stdout, looked.stderr
    assert by_push.status is Status.SUCCEEDED, by_push.reason
    assert by_push.revisions == {"app": commit}
    assert by_push.definition == team.ledger.deployments.list()[2].definition
    assert by_success.trigger == "success of pushed #1"
    assert by_success.status is Status.SUCCEEDED
    assert by_time.trigger == "schedule daily"
    assert by_event.trigger.startswith("event image.pushed ")
    assert by_event.status is Status.SUCCEEDED
    assert (again.returncode, again.stdout) == (0, "")
    team.ledger.audit.verify()
    counts = [len(team.ledger.executions.list(name)) for name in ("pushed", "after")]
    assert counts == [1, 3]
