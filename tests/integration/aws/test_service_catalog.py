"""Versions of products; a double, as moto has no provisioning artifacts."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws import Answering, Refusal, Wire, json_service

from prefect_delivery.actions import ActionFailed, Artifact, Job
from prefect_delivery.tasks.deploy import service_catalog
from prefect_delivery.tasks.deploy.service_catalog import deploy_to_service_catalog

Data = dict[str, Any]
Making = Callable[[dict[str, str]], Artifact]


class Product:
    """A product whose versions are ready when they are looked at twice.

    Attributes:
        versions: What was asked for, by idempotency token.
        ends: What the next versions become.
    """

    def __init__(self) -> None:
        self.versions: dict[str, Data] = {}
        self.looks = 0
        self.ends = "AVAILABLE"

    def create(self, asked: Data) -> Data:
        if asked["ProductId"] != "prod-1":
            raise Refusal("ResourceNotFoundException", "no such product")
        token = asked["IdempotencyToken"]
        self.versions.setdefault(token, asked)
        identifier = f"pa-{[*self.versions].index(token)}"
        return {"ProvisioningArtifactDetail": {"Id": identifier}, "Status": "CREATING"}

    def look(self, asked: Data) -> Data:
        self.looks += 1
        return {"Status": self.ends if self.looks > 1 else "CREATING"}


@pytest.fixture
def product(
    bucket: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Product]:
    made = Product()
    operations: dict[str, Answering] = {
        "CreateProvisioningArtifact": made.create,
        "DescribeProvisioningArtifact": made.look,
    }
    monkeypatch.setattr(service_catalog, "INTERVAL", 0.01)
    with (
        json_service("servicecatalog", operations) as double,
        wire.to(double) as address,
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_CATALOG", address)
        yield made


def test_a_template_becomes_a_version_once(
    product: Product,
    artifact: Making,
    job: Job,
    wire: Wire,
    client: Callable[[str], Any],
) -> None:
    source = artifact({"shop/template.yaml": "Resources: {}"})
    wire.cuts += ["CreateProvisioningArtifact"]

    for _ in range(2):
        made = deploy_to_service_catalog.fn(
            source,
            "prod-1",
            template_file_path="shop/template.yaml",
            product_version_name="v1",
            product_version_description="the first",
            job=job,
        )

    assert made.variables == {"ProvisioningArtifactId": "pa-0"}
    (asked,) = product.versions.values()
    assert asked["Parameters"]["Type"] == "CLOUD_FORMATION_TEMPLATE"
    assert asked["Parameters"]["Description"] == "the first"
    bucket, _, key = (
        asked["Parameters"]["Info"]["LoadTemplateFromURL"]
        .split("://")[1]
        .partition("/")[2]
        .partition("/")
    )
    body = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert body == b"Resources: {}"


def test_a_file_may_say_what_the_version_is(
    product: Product, artifact: Making, job: Job
) -> None:
    said = {
        "SchemaVersion": "1.0",
        "ProductVersionName": "v2",
        "ProductVersionDescription": "the second",
        "ProductType": "CLOUD_FORMATION_TEMPLATE",
        "Properties": {"TemplateFilePath": "/template.yaml"},
    }
    files = {"version.json": json.dumps(said), "template.yaml": "Resources: {}"}

    deploy_to_service_catalog.fn(
        artifact(files), "prod-1", configuration_file_path="version.json", job=job
    )

    (asked,) = product.versions.values()
    assert asked["Parameters"]["Name"] == "v2"


def test_what_is_wrong_is_said(product: Product, artifact: Making, job: Job) -> None:
    source = artifact({"template.yaml": "Resources: {}"})
    with pytest.raises(ActionFailed, match="needs a template and a name"):
        deploy_to_service_catalog.fn(source, "prod-1", job=job)
    given: Data = {"template_file_path": "template.yaml", "product_version_name": "v1"}
    with pytest.raises(ActionFailed, match="no such product"):
        deploy_to_service_catalog.fn(source, "prod-2", job=job, **given)
    product.ends = "FAILED"
    with pytest.raises(ActionFailed, match="version 'v1' of prod-1 is FAILED"):
        deploy_to_service_catalog.fn(source, "prod-1", job=job, **given)
