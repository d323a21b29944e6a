"""Fetches what a buildspec takes from Parameter Store and Secrets Manager."""

import json
import os
from collections.abc import Mapping
from typing import Any, Protocol

import boto3  # type: ignore[import-untyped]  # no py.typed
from botocore.config import Config  # type: ignore[import-untyped]  # no py.typed
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.errors import ActionFailed


class Resolver(Protocol):
    """Where the values of a buildspec come from."""

    def parameter(self, name: str) -> str: ...
    def secret(self, reference: str) -> str: ...


class AwsResolver:
    """The AWS services, by boto3's usual chain of credentials.

    `AWS_ENDPOINT_URL` leads to another endpoint, such as an emulator.
    """

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}

    def parameter(self, name: str) -> str:
        """The value of a parameter, decrypted.

        Raises:
            ActionFailed: There is none, or it cannot be read.
        """
        try:
            found = self._client("ssm").get_parameter(Name=name, WithDecryption=True)
        except (BotoCoreError, ClientError) as error:
            raise _unreadable("parameter", name, error) from error
        return str(found["Parameter"]["Value"])

    def secret(self, reference: str) -> str:
        """What `secret-id:json-key:version-stage:version-id` names.

        Raises:
            ActionFailed: There is none, or it cannot be read.
        """
        name, key, stage, version = split_reference(reference)
        wanted = {"VersionStage": stage, "VersionId": version}
        given = {field: value for field, value in wanted.items() if value}
        try:
            found = self._client("secretsmanager").get_secret_value(
                SecretId=name, **given
            )
        except (BotoCoreError, ClientError) as error:
            raise _unreadable("secret", name, error) from error
        if "SecretString" not in found:
            raise ActionFailed(f"secret '{name}' holds bytes, not text")
        text = str(found["SecretString"])
        return _member(text, name, key) if key else text

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            region = os.environ.get("AWS_REGION") or os.environ.get(
                "AWS_DEFAULT_REGION"
            )
            config = Config(connect_timeout=5, read_timeout=20)
            make: Any = boto3.session.Session().client
            self._clients[service] = make(service, region_name=region, config=config)
        return self._clients[service]


def split_reference(reference: str) -> tuple[str, str, str, str]:
    """The secret's id, JSON key, version stage and version id; empty where left out."""
    if reference.startswith("arn:"):
        parts = reference.split(":")
        name, rest = ":".join(parts[:7]), parts[7:]
    else:
        name, *rest = reference.split(":")
    key, stage, version = (*rest, "", "", "")[:3]
    return name, key, stage, version


def resolve(
    parameters: Mapping[str, str], secrets: Mapping[str, str], resolver: Resolver
) -> dict[str, str]:
    """The values by the names of their variables.

    Raises:
        ActionFailed: One of them cannot be read; says which.
    """
    found = {name: resolver.parameter(path) for name, path in parameters.items()}
    return found | {name: resolver.secret(ref) for name, ref in secrets.items()}


def _member(text: str, name: str, key: str) -> str:
    try:
        value = json.loads(text)[key]
    except (ValueError, KeyError, TypeError) as error:
        raise ActionFailed(f"secret '{name}' has no JSON key '{key}'") from error
    return value if isinstance(value, str) else json.dumps(value)


def _unreadable(kind: str, name: str, error: Exception) -> ActionFailed:
    return ActionFailed(
        f"{kind} '{name}' cannot be read: {error}",
        hint="give the worker AWS credentials, or set the variable in 'environment'",
    )
