"""Identities in AWS, as moto's STS gives them."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from aws import Wire
from prefect_aws import AwsCredentials
from prefect_aws.assume_role_parameters import AssumeRoleParameters
from prefect_aws.client_parameters import AwsClientParameters

from prefect_delivery.actions import ActionFailed
from prefect_delivery.blocks.aws_session import AwsSession, aws_session

HUB = "arn:aws:iam::111111111111:role/hub"
TARGET = "arn:aws:iam::222222222222:role/target"
SHORT = AssumeRoleParameters(ExternalId="shop-7", DurationSeconds=900)


@pytest.fixture
def endpoint(
    prefect_server: None, cloud: None, moto: str, wire: Wire, monkeypatch: Any
) -> Iterator[str]:
    """The wire, which no environment names."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with wire.to(moto) as address:
        yield address


@pytest.fixture
def block(endpoint: str) -> Callable[..., str]:
    """Saves a block that reaches AWS at the endpoint; gives its name."""

    def save(**more: Any) -> str:
        made = AwsCredentials(
            aws_access_key_id="hub",
            aws_secret_access_key="secret",
            region_name="eu-central-1",
            aws_client_parameters=AwsClientParameters(endpoint_url=endpoint),
            **more,
        )
        made.save("aws", overwrite=True)
        return "aws"

    return save


def who(session: AwsSession) -> str:
    return str(session.client("sts").get_caller_identity()["Arn"])


def assumed(wire: Wire) -> list[dict[str, list[str]]]:
    asked = zip(wire.seen, wire.bodies, strict=True)
    return [parse_qs(body) for operation, body in asked if operation == "AssumeRole"]


def test_a_block_names_keys_region_and_endpoint(block: Callable[..., str]) -> None:
    session = AwsSession(block())

    assert session.region == "eu-central-1"
    assert session.frozen_credentials().access_key == "hub"
    assert session.account == "123456789012"
    assert AwsSession(block(), region="us-east-1").region == "us-east-1"


def test_roles_are_taken_on_one_after_the_other(
    block: Callable[..., str], wire: Wire
) -> None:
    name = block(assume_role_arn=HUB, assume_role_kwargs=SHORT)

    session = AwsSession(name, role_arn=TARGET)

    assert ":assumed-role/target/" in who(session)
    roles = assumed(wire)
    assert [each["RoleArn"] for each in roles] == [[HUB], [TARGET]]
    assert [each.get("ExternalId") for each in roles] == [["shop-7"], None]


def test_a_blocks_parameters_serve_the_actions_role(
    block: Callable[..., str], wire: Wire
) -> None:
    who(AwsSession(block(assume_role_kwargs=SHORT), role_arn=TARGET))

    (role,) = assumed(wire)
    assert role["ExternalId"] == ["shop-7"]


def test_a_client_outlives_the_credentials_of_its_role(
    block: Callable[..., str], wire: Wire
) -> None:
    # botocore renews what is good for less than 15 minutes, before it is used.
    session = AwsSession(block(assume_role_kwargs=SHORT), role_arn=TARGET)
    client = session.client("sts")

    client.get_caller_identity()
    client.get_caller_identity()

    assert len(assumed(wire)) >= 2


def test_what_is_missing_is_said(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(file, "/nowhere")
    with pytest.raises(ActionFailed, match="no AwsCredentials block 'none'"):
        AwsSession("none")
    with pytest.raises(ActionFailed, match="no AWS credentials"):
        AwsSession().frozen_credentials()
    with pytest.raises(ActionFailed, match="no AWS credentials"):
        AwsSession(role_arn=TARGET)
    unable = pytest.raises(ActionFailed, match="Unable to locate credentials")
    with unable, aws_session() as aws:
        aws.client("sts").get_caller_identity()
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ActionFailed, match="no AWS region is named"):
        AwsSession().client("sts")
