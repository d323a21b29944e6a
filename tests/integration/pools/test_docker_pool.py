"""Actions in containers of a Docker work pool: they take, make, leave, and end."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from deployed import until
from docker_pool import Team, mounts
from prefect.blocks.system import Secret
from prefect.client.schemas import FlowRun
from prefect.client.schemas.actions import (
    DeploymentUpdate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.settings import PREFECT_API_URL, temporary_settings
from repository import Shop

from prefect_delivery.definition import load_file
from prefect_delivery.deployments.definitions import settings_of
from prefect_delivery.deployments.live import live
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import Refused
from prefect_delivery.flows.elsewhere import deployment_of

PARALLEL = """
      one: &action
        uses: build/commands
        runs_on: docker
        with:
          commands:
            - touch %(notes)s/$NAME
            - until test -e %(notes)s/go; do sleep 0.05; done
            - echo "the token is $TOKEN"
            - mkdir dist
            - echo "$TEXT from $(cat /etc/passwd | wc -l) user" > dist/greeting
            - echo "made=$NAME" >> $DELIVERY_OUTPUT
          environment: {NAME: one, TEXT: "#{variables.greeting}"}
          secrets: {TOKEN: deploy-token}
        outputs: {site: ["dist/**"]}
      two:
        <<: *action
        with:
          commands: ["touch %(notes)s/two", "until test -e %(notes)s/go; do sleep 0.05; done"]
        outputs: {}
      three:
        <<: *action
        with:
          commands: ["touch %(notes)s/three", "until test -e %(notes)s/go; do sleep 0.05; done"]
        outputs: {}
"""


def test_three_actions_in_containers_outlive_their_worker(
    team: Team, shop: Shop
) -> None:
    with temporary_settings({PREFECT_API_URL: team.machine.url}):
        Secret(value="s3cret-of-the-shop").save("deploy-token", overwrite=True)
    shop.define(PARALLEL % {"notes": team.notes})
    run = team.machine.start("deliver", "run", "--logs", folder=shop.folder, log="run")
    team.noted("one", "two", "three")
    environments = [_environment(each) for each in team.containers()]
    assert team.worker
    team.worker.process.kill()
    team.go()
    code = run.wait(120)
    team.work()

    assert code == 0, team.machine.output("run")
    assert len(environments) == 3
    for environment in environments:
        _opens_nothing(team, environment)
    execution = shop.ledger.executions.find("shop")
    build = execution.stages["Build"].actions
    assert build["one"][-1].variables == {"made": "one"}
    out = "".join(team.machine.output("run"))
    assert "Deliver / show | hello from 1 user" in out
    assert "the token is ***" in out
    assert "s3cret-of-the-shop" not in out
    _shown_by_prefect(team, execution)


ONE = """
      package:
        uses: build/commands
        runs_on: %(pool)s
        retry: {attempts: 2, delay: 0}
        with:
          commands:
            - setsid sleep 600 &
            - touch %(notes)s/begun$(ls %(notes)s | grep -c begun)
            - until test -e %(notes)s/go; do sleep 0.05; done
            - mkdir dist
            - echo made > dist/greeting
        outputs: {site: ["dist/**"]}
"""


def test_a_stopped_execution_leaves_no_container(team: Team, shop: Shop) -> None:
    shop.define(ONE % {"notes": team.notes, "pool": "docker"})
    run = team.machine.start("deliver", "run", folder=shop.folder, log="run")
    team.noted("begun0")
    assert len(team.containers()) == 1

    team.machine.call("deliver", "stop", "shop", "--abandon", "-m", "wrong branch")

    assert run.wait(120) == 3, team.machine.output("run")
    until(lambda: not team.containers(), "the end of the container")
    execution = shop.ledger.executions.find("shop")
    assert execution.status is Status.STOPPED
    assert _runs(team, execution) == ["Cancelled"]


def test_a_killed_container_is_an_attempt_that_failed(
    team: Team, shop: Shop, kept: None
) -> None:
    shop.define(ONE % {"notes": team.notes, "pool": "docker"})
    run = team.machine.start("deliver", "run", folder=shop.folder, log="run")
    team.noted("begun0")

    (container,) = team.containers()
    container.kill()
    team.noted("begun1")
    team.go()

    assert run.wait(120) == 0, team.machine.output("run")
    execution = shop.ledger.executions.find("shop")
    first, second = execution.stages["Build"].actions["package"]
    assert (first.status, second.status) == (Status.FAILED, Status.SUCCEEDED)
    assert first.error and "its infrastructure ended" in first.error
    assert "137" in first.error
    assert _runs(team, execution) == ["Completed", "Crashed"]


@pytest.fixture
def kept(team: Team) -> Iterator[None]:
    """Containers stay when they have ended.

    Prefect's worker takes one that removes itself for one that ended well when it is
    gone before the worker asks how it ended; that action is missed when it is silent.
    """
    deployment = deployment_of(team.client, "docker")

    def remove(ended: bool) -> None:
        variables = DeploymentUpdate(job_variables={"auto_remove": ended})
        team.client.update_deployment(deployment, variables)

    remove(ended=False)
    yield
    remove(ended=True)
    for container in team.containers():
        container.remove(force=True)


def test_who_takes_an_execution_over_attaches_to_its_containers(
    team: Team, shop: Shop
) -> None:
    shop.define(ONE % {"notes": team.notes, "pool": "docker"})
    run = team.machine.start("deliver", "run", folder=shop.folder, log="run")
    team.noted("begun0")
    run.kill()
    run.wait()
    team.go()

    with temporary_settings({PREFECT_API_URL: team.machine.url}):
        ended = shop.drive(shop.ledger.executions.find("shop"), local=True)

    assert ended.status is Status.SUCCEEDED, ended
    assert len(ended.stages["Build"].actions["package"]) == 1
    assert _runs(team, ended) == ["Completed"]
    assert not (team.notes / "begun1").exists()


def test_a_pool_that_starts_nothing_is_told_at_once(team: Team, shop: Shop) -> None:
    team.client.create_work_pool(WorkPoolCreate(name="idle", type="delivery"))
    shop.define(ONE % {"notes": team.notes, "pool": "idle"})
    team.go()

    run = team.machine.start("deliver", "run", folder=shop.folder, log="run")

    said = "no worker serves the work pool 'idle'"
    until(lambda: _waits(shop) == said, "the reason")
    assert said in team.machine.call("deliver", "show", "shop").stdout
    team.client.update_work_pool("idle", WorkPoolUpdate(is_paused=True))
    paused = "the work pool 'idle' is paused"
    until(lambda: _waits(shop) == paused, "the reason")
    team.client.update_work_pool("idle", WorkPoolUpdate(is_paused=False))
    team.machine.start("deliver", "worker", "idle", log="idle")
    assert run.wait(120) == 0, team.machine.output("run")
    assert _waits(shop) is None
    assert _runs(team, shop.ledger.executions.find("shop")) == ["Completed"]


def test_a_whole_pipeline_runs_in_containers(team: Team, shop: Shop) -> None:
    shop.define(ONE % {"notes": team.notes, "pool": "docker"})
    home = team.machine.more["PREFECT_DELIVERY_HOME"]
    places = [f"{home}:{home}", f"{shop.folder}:{shop.folder}:ro"]
    names = ("PREFECT_DELIVERY_HOME", "PREFECT_DELIVERY_SERVER_URL")
    environment = {name: team.machine.more[name] for name in names}
    given = {"volumes": [*mounts(), *places], "env": environment}
    words = [f"-j={name}={json.dumps(value)}" for name, value in given.items()]
    team.go()

    done = team.machine.call(
        "deliver", "deploy", "--pool", "docker", *words, folder=shop.folder
    )

    assert done.returncode == 0, done.stdout + done.stderr
    # It would start containers each minute.
    team.client.delete_deployment(
        team.client.read_deployment_by_name("reconcile/delivery").id
    )
    deployment = team.client.read_deployment_by_name("pipeline/shop").id
    asked = team.client.create_flow_run_from_deployment(deployment).id
    until(lambda: _has_ended(team, asked), "the pipeline's end")
    execution = shop.ledger.executions.find("shop")
    assert execution.flow_run == str(asked)
    assert execution.status is Status.SUCCEEDED, execution
    assert _runs(team, execution) == ["Completed"]


def test_what_a_pool_does_not_take_is_refused(team: Team, shop: Shop) -> None:
    shop.define(ONE % {"notes": team.notes, "pool": "docker"})
    wrong = settings_of(
        load_file(shop.folder / "delivery.yaml"),
        pool="docker",
        job_variables={"auto_remove": "perhaps"},
    )

    with temporary_settings({PREFECT_API_URL: team.machine.url}), live() as server:
        server.check_job_variables("docker", ["image", "env.STAGE"])
        with pytest.raises(Refused, match="did you mean 'image'"):
            server.check_job_variables("docker", ["imagee"])
        with pytest.raises(Refused, match="auto_remove"):
            server.apply("wrong", wrong)
        with pytest.raises(Refused, match="no work pool 'nowhere'"):
            server.check_pools(["docker", "nowhere"])


def _environment(container: Any) -> dict[str, str]:
    words = container.attrs["Config"]["Env"]
    return dict(word.split("=", 1) for word in words)


def _opens_nothing(team: Team, environment: dict[str, str]) -> None:
    """What may be read of a container's environment is good for nothing."""
    assert not {name for name in environment if name.startswith("PREFECT_API")}
    assert "admin:of-prefect" not in environment.values()
    assert not any("ledger" in word.lower() for word in environment.values())
    ticket = environment["PREFECT_DELIVERY_TICKET"]
    url = f"{environment['PREFECT_DELIVERY_SERVER_URL']}/delivery/actions"
    again = httpx.post(f"{url}/take", json={"ticket": ticket, "token": "x" * 40})
    assert again.status_code == 410
    headers = {"Authorization": f"Bearer {ticket}"}
    assert httpx.get(f"{url}/secrets/deploy-token", headers=headers).status_code == 401


def _shown_by_prefect(team: Team, execution: Execution) -> None:
    """Each action's run is below the task run of its attempt, and has its state."""
    assert _runs(team, execution) == ["Completed"] * 3
    for run in _flow_runs(team, execution):
        assert run.parent_task_run_id
        task = team.client.read_task_run(run.parent_task_run_id)
        assert str(task.flow_run_id) == execution.flow_run


def _flow_runs(team: Team, execution: Execution) -> list[FlowRun]:
    """The runs of the execution's actions, in Prefect."""
    return [
        run
        for run in team.client.read_flow_runs()
        if (run.idempotency_key or "").startswith(f"{execution.id}/")
    ]


def _runs(team: Team, execution: Execution) -> list[str]:
    """How they stand."""
    return sorted(run.state_name or "" for run in _flow_runs(team, execution))


def _waits(shop: Shop) -> str | None:
    """What the package waits for, as it is shown."""
    for execution in shop.ledger.executions.list("shop", limit=1):
        if build := execution.stages.get("Build"):
            return next((run[-1].summary for run in build.actions.values()), None)
    return None


def _has_ended(team: Team, flow_run: UUID) -> bool:
    state = team.client.read_flow_run(flow_run).state
    return state is not None and state.is_final()
