"""How a source at AWS is asked what it has."""

from contextlib import AbstractContextManager
from typing import Final

from botocore.config import Config  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import Configuration
from prefect_delivery.blocks.aws_session import AwsSession, aws_session

BRIEF: Final = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 2})
"""For a question that is asked again anyway."""


def session_of(configuration: Configuration) -> AbstractContextManager[AwsSession]:
    """A session for a source's configuration."""
    return aws_session(
        configuration.get("credentials"),
        configuration.get("role_arn"),
        configuration.get("region"),
    )
