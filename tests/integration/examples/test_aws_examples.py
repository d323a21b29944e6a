"""The examples that deliver into AWS (ministack, which runs functions and containers)."""

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3  # type: ignore[import-untyped]  # no py.typed
import docker
import httpx
import pytest
from example import Example
from git_http import GitServer, free_port
from lambda_shop import LambdaShop
from ministack import REGION
from polling import until
from python_image import import_python_image

from prefect_delivery import control
from prefect_delivery.engine.state import Status

Client = Callable[[str], Any]


@pytest.fixture
def client(aws_identity: None, ministack: str) -> Client:
    return lambda service: boto3.client(
        service, endpoint_url=ministack, region_name=REGION
    )


@pytest.fixture
def name() -> str:
    """A name that no other test takes."""
    return f"example-{uuid4().hex[:8]}"


def test_the_site_in_s3_carries_its_commit_until_somebody_goes_back(
    client: Client, name: str, home: Path, git_server: GitServer, tmp_path: Path
) -> None:
    s3 = client("s3")
    s3.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    site = Example("static-site-s3", git_server, tmp_path, {"acme-site": name})

    def front() -> str:
        found = s3.get_object(Bucket=name, Key="index.html")
        assert found["CacheControl"] == "max-age=300"
        return str(found["Body"].read().decode())

    first = site.run()
    old = front()
    assert first.status is Status.SUCCEEDED, first.reason
    assert f"Revision {site.commit[:7]}<" in old

    site.push("contact.html", "imprint.html", "pages/index.html")
    assert site.run().status is Status.FAILED
    assert front() == old

    site.push("imprint.html", "contact.html", "pages/index.html")
    site.run()
    assert f"Revision {site.commit[:7]}<" in front()
    back = control.rollback(site.ledger, "static-site-s3", "Production", by="ann")
    assert site.go_on(back).status is Status.SUCCEEDED
    assert front() == old


def test_the_function_of_each_good_commit_is_what_its_alias_runs(
    client: Client,
    name: str,
    ministack: str,
    home: Path,
    git_server: GitServer,
    tmp_path: Path,
) -> None:
    function = LambdaShop(tmp_path, ministack, name)
    names = {"function: greetings": f"function: {name}", "pause: 300": "pause: 0.1"}
    api = Example("lambda-api", git_server, tmp_path, names)

    def said() -> dict[str, str]:
        answer = client("lambda").invoke(
            FunctionName=name,
            Qualifier="live",
            Payload=json.dumps({"queryStringParameters": {"name": "Ada"}}),
        )
        found = json.loads(answer["Payload"].read())
        assert found["statusCode"] == 200, found
        body: dict[str, str] = json.loads(found["body"])
        return body

    first = api.run()
    assert first.status is Status.SUCCEEDED, first.reason
    assert said() == {"greeting": "Hello, Ada!"}

    api.push("Hello", "Hi", "main.py")
    failed = api.run()
    assert failed.status is Status.FAILED
    assert said() == {"greeting": "Hello, Ada!"}

    api.push("Hello", "Hi", "test_main.py")
    assert api.run().status is Status.SUCCEEDED
    assert said() == {"greeting": "Hi, Ada!"}
    assert function.weights() == {}


@pytest.mark.timeout(300)  # an image of Python, three builds and rollouts
def test_the_service_of_each_commit_that_starts_is_what_ecs_runs(
    client: Client,
    name: str,
    ministack: str,
    ecs_images: None,
    home: Path,
    git_server: GitServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", os.environ["MINISTACK_DOCKER_HOST"])
    with closing(docker.from_env()) as engine:
        import_python_image(engine)
    port = free_port()
    service(client, name, port)
    registry = ministack.partition("//")[2]
    names = {
        "ecr_repository_name: greetings": f"ecr_repository_name: {name}",
        "service: greetings": f"service: {name}",
        "111122223333.dkr.ecr.eu-west-1.amazonaws.com": registry,
    }
    api = Example("fastapi-ecs", git_server, tmp_path, names)

    def said() -> Any:
        url = f"http://127.0.0.1:{port}/hello/Ada"
        return httpx.get(url, trust_env=False).raise_for_status().json()

    first = api.run()
    assert first.status is Status.SUCCEEDED, first.reason
    until(lambda: listens(port))
    assert said() == {"greeting": "Hello, Ada!"}

    api.push("import uvicorn", "import nothing", "greetings/__main__.py")
    assert api.run().status is Status.FAILED
    until(lambda: listens(port))
    assert said() == {"greeting": "Hello, Ada!"}

    client("ecs").delete_service(cluster="shop", service=name, force=True)


def service(client: Client, name: str, port: int) -> None:
    """The service as the README wants it; its task takes the one port of the host."""
    client("ecr").create_repository(repositoryName=name)
    ecs = client("ecs")
    ecs.create_cluster(clusterName="shop")
    web = {
        "name": "web",
        "image": "shop:1",
        "memory": 256,
        "essential": True,
        "environment": [{"name": "PORT", "value": str(port)}],
    }
    ecs.register_task_definition(
        family=name, networkMode="host", containerDefinitions=[web]
    )
    ecs.create_service(
        cluster="shop",
        serviceName=name,
        taskDefinition=name,
        desiredCount=1,
        deploymentConfiguration={
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
            "minimumHealthyPercent": 0,
            "maximumPercent": 100,
        },
    )


def listens(port: int) -> bool:
    try:
        url = f"http://127.0.0.1:{port}/health"
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False
