"""Actions in a region of their own hand artifacts on through a bucket of that region."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # no py.typed
import pytest
from aws import json_service
from codedeploy_double import CodeDeploy

from prefect_delivery.actions import ActionFailed, Artifact, Job
from prefect_delivery.tasks.deploy import codedeploy_deployment
from prefect_delivery.tasks.deploy.codedeploy import deploy_with_codedeploy

Clients = Callable[[str], Any]
Making = Callable[[dict[str, str]], Artifact]
PROGRAM = str(Path(sys.executable).with_name("deliver"))
FAR = "us-west-2"


@pytest.fixture
def far(bucket: str, moto: str) -> str:
    """A bucket of the other region, beside that of our own."""
    s3 = boto3.client("s3", endpoint_url=moto, region_name=FAR)
    s3.create_bucket(
        Bucket="far", CreateBucketConfiguration={"LocationConstraint": FAR}
    )
    return "far"


@pytest.fixture
def codedeploy(
    far: str, client: Clients, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CodeDeploy]:
    made = CodeDeploy(client("s3"))
    monkeypatch.setattr(codedeploy_deployment, "INTERVAL", 0.01)
    with json_service("codedeploy", made.operations) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CODEDEPLOY", address)
        yield made


def places(codedeploy: CodeDeploy) -> list[str]:
    return [
        each["revision"]["s3Location"]["bucket"]
        for each in codedeploy.deployments.values()
    ]


def test_the_worker_names_a_bucket_for_each_region(
    codedeploy: CodeDeploy,
    far: str,
    bucket: str,
    artifact: Making,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = artifact({"appspec.yml": "version: 0.0"})
    monkeypatch.setenv("PREFECT_DELIVERY_AWS_BUCKETS", f"ap-south-1=x  {FAR}={far}")

    for region in (FAR, None):
        deploy_with_codedeploy.fn(
            source, "shop", "live", region=region, job=Job(log=print)
        )

    assert places(codedeploy) == [far, bucket]
    assert "appspec.yml" in codedeploy.files("d-1")


def test_a_region_without_a_bucket_is_named(
    codedeploy: CodeDeploy, artifact: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_DELIVERY_AWS_BUCKET")
    source = artifact({"appspec.yml": ""})

    with pytest.raises(ActionFailed, match=f"no S3 bucket .* in {FAR}"):
        deploy_with_codedeploy.fn(source, "shop", "live", region=FAR, job=Job())


def test_a_declaration_names_the_store_of_each_region(
    codedeploy: CodeDeploy,
    far: str,
    bucket: str,
    client: Clients,
    tmp_path: Path,
) -> None:
    client("s3").put_object(Bucket=bucket, Key="appspec.yml", Body=b"version: 0.0")
    stores = {"eu-west-1": bucket, FAR: far}
    declaration = {
        "name": "shop",
        "roleArn": "arn:aws:iam::123456789012:role/pipeline",
        "artifactStores": {
            region: {"type": "S3", "location": name} for region, name in stores.items()
        },
        "stages": [
            {
                "name": "Source",
                "actions": [
                    {
                        "name": "App",
                        "actionTypeId": kind("Source", "S3"),
                        "configuration": {
                            "S3Bucket": bucket,
                            "S3ObjectKey": "appspec.yml",
                        },
                        "outputArtifacts": [{"name": "app"}],
                    }
                ],
            },
            {
                "name": "Far",
                "actions": [
                    {
                        "name": "Deploy",
                        "actionTypeId": kind("Deploy", "CodeDeploy"),
                        "configuration": {
                            "ApplicationName": "shop",
                            "DeploymentGroupName": "live",
                        },
                        "inputArtifacts": [{"name": "app"}],
                        "region": FAR,
                    }
                ],
            },
        ],
        "version": 1,
    }
    (tmp_path / "shop.json").write_text(json.dumps({"pipeline": declaration}))

    def deliver(*words: str) -> str:
        done = subprocess.run(
            [PROGRAM, *words],
            cwd=tmp_path,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    deliver("run", "--local", "shop.json")
    deliver("import", "shop.json", "-o", "delivery.yaml")

    assert places(codedeploy) == [far]
    exported = deliver("export", "delivery.yaml", "--format", "codepipeline")
    assert json.loads(exported) == {"pipeline": declaration}


def kind(category: str, provider: str) -> dict[str, str]:
    return {
        "category": category,
        "owner": "AWS",
        "provider": provider,
        "version": "1",
    }
