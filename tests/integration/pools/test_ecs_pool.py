"""An action on an ECS pool: what Prefect's own worker asks of ECS carries it out.

ECS is moto over HTTP, which starts no container: a process of this machine stands in for
it, with the command and the environment that the task was given, and nothing else.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # no py.typed
import pytest
from delivery_server import DeliveryServer
from deployed import BIN, Machine, Server, until
from moto_server import moto_server
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect_aws.workers import ECSWorker
from repository import Shop

from prefect_delivery.engine.state import Status
from prefect_delivery.ledger import Ledger

REGION = "eu-central-1"
ON_ECS = """
      package:
        uses: build/commands
        runs_on: ecs
        outputs: {site: ["dist/**"]}
        with:
          commands: [mkdir dist, "echo from-ecs > dist/greeting"]
"""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Variables that lead to an AWS with a cluster."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with moto_server() as address:
        known = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        for name, value in known.items():
            monkeypatch.setenv(name, value)
        boto3.client("ecs").create_cluster(clusterName="default")
        yield known


@pytest.fixture
def machine(home: Path, tmp_path: Path, aws: dict[str, str]) -> Iterator[Machine]:
    """A machine with a Prefect server, `deliver server`, and a worker of an ECS pool."""
    server = Server(tmp_path / "server")
    delivery = DeliveryServer(tmp_path, {"PREFECT_API_URL": server.url})
    (tmp_path / "machine").mkdir()
    more = {
        "PREFECT_DELIVERY_HOME": str(home),
        "PREFECT_DELIVERY_SERVER_URL": f"http://127.0.0.1:{delivery.port}",
        "PREFECT_WORKER_QUERY_SECONDS": "0.5",
        # Workers hand on what they have.
        "PREFECT_API_AUTH_STRING": "admin:of-prefect",
        **aws,
    }
    made = Machine(tmp_path / "machine", server.url, more)
    try:
        server.start()
        delivery.start()
        template = ECSWorker.get_default_base_job_template()
        definition = template["job_configuration"]["task_definition"]
        definition["containerDefinitions"][0]["memory"] = 512  # moto wants it there
        with SyncPrefectClient(server.url) as client:
            client.create_work_pool(
                WorkPoolCreate(name="ecs", type="ecs", base_job_template=template)
            )
        made.start(
            *["prefect", "worker", "start", "--type", "ecs", "--pool", "ecs"],
            log="worker",
        )
        yield made
    finally:
        made.switch_off()
        delivery.kill()
        server.kill()


def test_an_action_is_carried_out_by_the_task_that_ecs_is_asked_for(
    machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "shop").mkdir()
    shop = Shop(tmp_path / "shop", Ledger.open())
    shop.git("init", "-q", "-b", "main")
    shop.git("config", "user.name", "Ann")
    shop.git("config", "user.email", "ann@shop.example")
    shop.define(ON_ECS)

    run = machine.start("deliver", "run", folder=shop.folder, log="run")
    until(_tasks, "the task", every=0.5)
    (container,) = _tasks()[0]["overrides"]["containerOverrides"]
    environment = {each["name"]: each["value"] for each in container["environment"]}
    python, *rest = container["command"]
    subprocess.run(
        [BIN / python, *rest],
        env={**environment, "PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(tmp_path)},
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    code = run.wait(120)

    assert code == 0, machine.output("run")
    execution = shop.ledger.executions.find("shop")
    assert execution.status is Status.SUCCEEDED
    assert not [name for name in environment if name.startswith("PREFECT_API")]
    assert "admin:of-prefect" not in str(environment)


def _tasks() -> list[dict[str, Any]]:
    ecs = boto3.client("ecs")
    arns = ecs.list_tasks(cluster="default")["taskArns"]
    found: list[dict[str, Any]] = arns and ecs.describe_tasks(tasks=arns)["tasks"]
    return found
