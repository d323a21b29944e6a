"""One way into AWS: whose credentials, by which roles, how patient.

It takes what a saved `AwsCredentials` block of prefect-aws holds. Unlike the block's own
clients, those made here renew the credentials of roles, pass through a second role, and
heed the block's client parameters for every service, STS included.
"""

import functools
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar, cast

import boto3  # type: ignore[import-untyped]  # no py.typed
from botocore.config import Config  # type: ignore[import-untyped]  # no py.typed
from botocore.credentials import (  # type: ignore[import-untyped]  # no py.typed
    AssumeRoleCredentialFetcher,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import (  # type: ignore[import-untyped]  # no py.typed
    BotoCoreError,
    ClientError,
    HTTPClientError,
)
from botocore.exceptions import (
    ConnectionError as NotReached,
)
from botocore.loaders import Loader, create_loader  # type: ignore[import-untyped]  # no py.typed
from botocore.session import Session, get_session  # type: ignore[import-untyped]  # no py.typed
from prefect.exceptions import PrefectException
from prefect_aws import AwsCredentials

from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.settings import settings

R = TypeVar("R")

PATIENCE: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=10,
    read_timeout=60,
)
"""How long and how often a request is made; the block's own settings go before it."""

NETWORK: Final = (HTTPClientError, NotReached)
"""No answer: the first after a request was sent, the second before."""

BUSY: Final = frozenset({429, 500, 502, 503, 504})
"""Answers after which nobody knows what was done, or that only ask to come later."""

DOMAINS: Final = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
}
"""Where the servers of AWS' partitions are, for addresses that no client makes."""


class Unanswered(OSError):
    """A service gave no answer that says whether it did what it was asked to."""


class AwsSession:
    """Clients of AWS services under one identity.

    Args:
        credentials: Name of a saved `AwsCredentials` block; None for what the worker has
            (its environment, its profile, its instance).
        role_arn: Role to take on besides, from the block's own role if it has one. It is
            assumed with the block's parameters (external id, duration, tags) when the
            block names no role of its own.
        region: Before that of the block and of the worker.

    Raises:
        ActionFailed: No such block can be loaded.
    """

    def __init__(
        self,
        credentials: str | None = None,
        role_arn: str | None = None,
        region: str | None = None,
    ) -> None:
        block = _block(credentials) if credentials else AwsCredentials()
        self._client_parameters = block.aws_client_parameters.get_params_override()
        own = self._client_parameters.pop("config", None)
        self._config = PATIENCE.merge(own) if own else PATIENCE
        self._region = region or block.region_name
        roles = [role for role in (block.assume_role_arn, role_arn) if role]
        extra: dict[str, Any] = block.assume_role_kwargs.get_params_override()
        self._session = _base(block, self._region)
        for number, role in enumerate(roles):
            self._session = self._in_role(role, extra if number == 0 else {})
        # boto3 adds its own to what it is given, so it is given it once.
        self._boto3 = boto3.Session(botocore_session=self._session)

    @property
    def region(self) -> str:
        """Where the services are asked.

        Raises:
            ActionFailed: Nothing names a region.
        """
        found = self._region or self._session.get_config_variable("region")
        if not found:
            raise ActionFailed(
                "no AWS region is named",
                hint="give 'region', or set it in the AwsCredentials block",
            )
        return str(found)

    @property
    def domain(self) -> str:
        """Domain of AWS' servers in the region, such as `amazonaws.com`."""
        partition = self._session.get_partition_for_region(self.region)
        return DOMAINS.get(partition, DOMAINS["aws"])

    def endpoint(self, service: str) -> str | None:
        """Address that the block or the environment names in place of AWS' own."""
        own = self._client_parameters.get("endpoint_url")
        variable = f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}"
        found = own or os.environ.get(variable) or os.environ.get("AWS_ENDPOINT_URL")
        return found.rstrip("/") if found else None

    def object_url(self, bucket: str, key: str) -> str:
        """Address of an object in S3, for services that take no other name of it."""
        if endpoint := self.endpoint("s3"):
            return f"{endpoint}/{bucket}/{key}"
        return f"https://{bucket}.s3.{self.region}.{self.domain}/{key}"

    def bucket(self, named: str | None) -> str:
        """The bucket for what services of this region take and leave in S3.

        Args:
            named: What an action names; goes before the settings of the worker.

        Raises:
            ActionFailed: Nobody names one.
        """
        if found := named or settings().bucket_in(self.region):
            return found
        raise ActionFailed(
            f"no S3 bucket is named for what goes to AWS in {self.region}",
            hint="give 'bucket', or set PREFECT_DELIVERY_AWS_BUCKET on the worker",
        )

    def frozen_credentials(self) -> Any:
        """Access key, secret and token, as they are now.

        Raises:
            ActionFailed: There are none.
        """
        found = self._session.get_credentials()
        if found is None:
            raise _nobody()
        return found.get_frozen_credentials()

    @property
    def account(self) -> str:
        """Number of the account that the identity belongs to."""
        return str(self.client("sts").get_caller_identity()["Account"])

    def client(self, service: str, config: Config | None = None) -> Any:
        """A client of a service.

        Args:
            config: Settings that go before those of the session.
        """
        return self._boto3.client(
            service,
            region_name=self.region,
            config=self._config.merge(config) if config else self._config,
            **self._client_parameters,
        )

    def _in_role(self, role: str, extra: dict[str, Any]) -> Session:
        source = self._session
        if (credentials := source.get_credentials()) is None:
            raise _nobody()
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=self._client_creator(source),
            source_credentials=credentials,
            role_arn=role,
            extra_args={"RoleSessionName": "prefect-delivery", **extra},
        )
        session = _made(get_session())
        session._credentials = DeferredRefreshableCredentials(
            refresh_using=fetcher.fetch_credentials, method="assume-role"
        )
        if source.profile:
            session.set_config_variable("profile", source.profile)
        return session

    def _client_creator(self, source: Session) -> Callable[..., Any]:
        def create(service: str, **arguments: Any) -> Any:
            return source.create_client(
                service,
                **{
                    **self._client_parameters,
                    "region_name": self.region,
                    "config": self._config,
                    **arguments,
                },
            )

        return create


@contextmanager
def aws_session(
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
) -> Iterator[AwsSession]:
    """A session; what AWS refuses inside of the block becomes a failed action.

    Raises:
        ActionFailed: In place of botocore's errors; names the operation and the code.
    """
    try:
        yield AwsSession(credentials, role_arn, region)
    except ClientError as error:
        raise ActionFailed(said(error)) from error
    except BotoCoreError as error:
        raise ActionFailed(f"AWS: {error}") from error


def said(error: Exception) -> str:
    """What an error of AWS says, in a line."""
    if not isinstance(error, ClientError):
        return str(error)
    answer = error.response.get("Error", {})
    code, message = answer.get("Code", "?"), answer.get("Message") or "no reason given"
    return f"{error.operation_name} is refused: {code}: {message}"


def code_of(error: ClientError) -> str:
    """AWS' word for an error, such as `ResourceNotFoundException`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def token_of(job: Job, *more: str) -> str:
    """An idempotency token, 64 hexadecimal digits: the same for each attempt of a key.

    A task that is called from anybody's flow has no key, and gets a new one each time.
    """
    key = "\0".join([job.key or uuid.uuid4().hex, *more])
    return hashlib.sha256(key.encode()).hexdigest()


def start_or_attach(job: Job, start: Callable[[], str]) -> str:
    """`Job.start_or_attach` for AWS: `start` is asked again when nobody knows.

    Args:
        start: Gives a token, or looks for the work before it starts any.

    Raises:
        ActionFailed: It stays unknown.
    """

    def ask() -> str:
        try:
            return start()
        except NETWORK as error:
            raise Unanswered(str(error)) from error
        except ClientError as error:
            if _is_busy(error):
                raise Unanswered(said(error)) from error
            raise

    return job.start_or_attach(ask)


ONCE: Final = Config(retries={"total_max_attempts": 1})
"""For requests that have no token: botocore itself must not repeat them."""


def mark_begun(job: Job) -> None:
    """Note that work begins which has no token and is nowhere to be looked up.

    Raises:
        ActionFailed: It was begun before by a worker that died; it is not repeated.
    """
    mark = uuid.uuid4().hex
    if job.start_or_attach(lambda: mark) != mark:
        raise _unknown(job, "a worker died while it waited for the answer")


def at_most_once(job: Job, call: Callable[[], R]) -> R:
    """Make a request that has no token; `mark_begun` goes before it.

    Args:
        call: Uses a client with the settings `ONCE`.

    Raises:
        ActionFailed: Nobody knows whether it had its effect. It is not retried then.
    """
    try:
        return call()
    except HTTPClientError as error:
        raise _unknown(job, str(error)) from error
    except ClientError as error:
        if (
            _is_busy(error)
            and "Throttl" not in code_of(error)
            and _status(error) != 429
        ):
            raise _unknown(job, said(error)) from error
        raise


def _unknown(job: Job, why: str) -> ActionFailed:
    job.retryable = False
    return ActionFailed(
        f"nobody knows whether it was done: {why}",
        hint="look there before you retry",
    )


def patient(job: Job, probe: Callable[[], R | None]) -> Callable[[], R | None]:
    """A probe for `Job.poll` that outlives failures of the network and of AWS."""

    def ask() -> R | None:
        try:
            return probe()
        except NETWORK as error:
            job.log(f"no answer, asking again: {error}")
        except ClientError as error:
            if not _is_busy(error):
                raise
            job.log(f"asking again: {said(error)}")
        return None

    return ask


def stop_with(job: Job, stop: Callable[[], object], what: str) -> None:
    """Have outside work stopped when the action is; says so when it cannot be."""

    def ask() -> None:
        try:
            stop()
        except (BotoCoreError, ClientError) as error:
            job.log(f"{what} could not be stopped and may go on: {said(error)}")
        else:
            job.log(f"{what} is being stopped")

    job.on_stop(ask)


def _is_busy(error: ClientError) -> bool:
    return _status(error) in BUSY or "Throttl" in code_of(error)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _nobody() -> ActionFailed:
    return ActionFailed(
        "there are no AWS credentials",
        hint="name an AwsCredentials block by 'credentials'",
    )


def _block(name: str) -> AwsCredentials:
    try:
        return cast("AwsCredentials", AwsCredentials.load(name))
    except (ValueError, PrefectException) as error:
        raise ActionFailed(
            f"no AwsCredentials block '{name}' can be loaded",
            hint=f"create it: AwsCredentials(...).save('{name}')",
        ) from error


@functools.cache
def _loader(path: str | None) -> Loader:
    """Reads the models of services once, not again for each session."""
    return create_loader(path)


def _made(session: Session) -> Session:
    path = session.get_config_variable("data_path")
    session.register_component("data_loader", _loader(path))
    return session


def _base(block: AwsCredentials, region: str | None) -> Session:
    secret = block.aws_secret_access_key
    session = _made(Session(profile=block.profile_name))
    if region:
        session.set_config_variable("region", region)
    if block.aws_access_key_id and secret:
        session.set_credentials(
            block.aws_access_key_id,
            secret.get_secret_value(),
            block.aws_session_token,
        )
    return session
