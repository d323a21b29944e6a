"""From a webhook to a run that Prefect has, and a doctor who looks at the way there."""

from pathlib import Path

import webhooks
from delivery_server import DeliveryServer
from deployed import until
from git_http import GitServer
from git_work import Developer
from team import Team


def test_a_webhook_makes_a_run_at_once(
    team: Team, git_server: GitServer, tmp_path: Path
) -> None:
    developer = Developer(tmp_path / "code")
    name = tmp_path.name.replace("_", "-")
    developer.git("remote", "add", "origin", str(git_server.create(name)))
    commit = developer.commit("one", {"a": "1"})
    developer.push()
    team.write("shop", "on: {push: {branches: [main]}}", url=git_server.url(name))
    team.deploy("shop")
    server = DeliveryServer(tmp_path, team.machine.environment)

    server.start()
    try:
        data = webhooks.push(git_server.url(name), commit)
        answers = [server.post(webhooks.github("push", data)) for _ in range(2)]
        until(lambda: team.ledger.inbox.waiting() == 0, "the inbox")
    finally:
        server.kill()

    assert answers == [202, 200]
    (run,) = [r for r in team.client.read_flow_runs() if r.name == "shop-1"]
    assert run.deployment_id == team.deployment("shop").id
    (execution,) = team.ledger.executions.list("shop")
    assert run.parameters["execution_id"] == execution.id
    assert execution.revisions == {"app": commit}
    assert (execution.trigger, execution.started_by) == ("push to main", "ann")


def test_doctor_looks_at_the_webhooks_where_there_are_any(team: Team) -> None:
    without = team.deliver("doctor").stdout
    file = team.machine.home / "server.yaml"
    file.write_text(
        "connections: {forge: {forge: github, repositories: ['*'],"
        " secrets: [env:NO_SUCH_VARIABLE]}}"
    )
    broken = team.deliver("doctor").stdout
    team.machine.more["NO_SUCH_VARIABLE"] = webhooks.KEY
    whole = team.deliver("doctor").stdout

    assert "webhooks" not in without
    assert "○ webhooks        the worker has no environment variable" in broken
    assert "✓ webhooks        forge" in whole
