"""Who may tell us of changes, and by which secrets: the file that `deliver server` reads."""

import logging
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from prefect_delivery.errors import ActionFailed, Refused
from prefect_delivery.forges import FORGES, Forge
from prefect_delivery.ledger.jobs import ActionType
from prefect_delivery.repositories import identity_of
from prefect_delivery.secrets import fetch_secrets

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,62})$")]
SHORTEST = 16
"""Characters of a webhook's secret: shorter ones can be tried out."""
RENEWED = 60.0
"""Seconds after which a secret is fetched again, so that it may change."""
TRIED_AGAIN = 10.0
"""Seconds after which it is tried again to fetch one that could not be had."""
_LOG = logging.getLogger("prefect_delivery.server")


class Connection(BaseModel):
    """One forge, or one part of it, that may tell of changes.

    Attributes:
        repositories: Those that it may speak of, as `github.com/ann/shop`; `*` stands
            for anything. Of `source/connection`, the ARN of the connection, a slash,
            and owner and name: whose statuses go to this forge.
        secrets: Where the webhook's secrets are: the name of a Prefect `Secret` block,
            `env:NAME` or `file:/path`. Each of several is good, to change one for another.
        token: Where the token is that may write commit statuses; without, none is.
        api: Address of the forge's API, where it is not the usual one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    forge: Literal["github", "gitlab", "bitbucket", "gitea", "signed"]
    repositories: list[str] = Field(min_length=1)
    secrets: list[str] = Field(min_length=1)
    token: str | None = None
    api: str | None = Field(default=None, pattern=r"^https?://[^\s?#@]+$")

    @model_validator(mode="after")
    def _statuses_can_be_sent(self) -> Self:
        if self.token and self.forge == "signed":
            raise ValueError("'signed' takes no commit statuses: leave 'token' out")
        if self.token and self.forge == "gitea" and not self.api:
            raise ValueError("say by 'api' where commit statuses are sent to")
        return self

    @property
    def reader(self) -> Forge:
        return FORGES[self.forge]

    def may_speak_of(self, repository: str) -> bool:
        """Whether a repository, by any of its addresses, is one of these."""
        source = identity_of(repository).casefold()
        return any(fnmatchcase(source, p.casefold()) for p in self.repositories)


class Queue(BaseModel):
    """A queue of SQS by which AWS tells of changes.

    Attributes:
        url: URL of the queue.
        credentials: Name of an AwsCredentials block; by default the server's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the queue.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://[^\s@]+$")
    credentials: str | None = None
    role_arn: str | None = None
    region: str | None = None


class JobWorker(BaseModel):
    """A worker that carries out jobs of custom actions.

    Attributes:
        access_key: The access key id that it signs with; any text of its kind.
        secrets: Where the secret access key is, as with connections.
        actions: Types whose jobs it gets, as `Build/Linter/1`; `*` stands for anything.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    access_key: str = Field(pattern=r"^\w{16,128}$")
    secrets: list[str] = Field(min_length=1)
    actions: list[str] = Field(min_length=1)

    def may_do(self, type: ActionType) -> bool:
        """Whether jobs of a type are for it."""
        name = f"{type.category}/{type.provider}/{type.version}"
        return any(fnmatchcase(name, pattern) for pattern in self.actions)


class Configuration(BaseModel):
    """The whole file.

    Attributes:
        largest: Bytes of a body that are read at the most.
        each_minute: Requests of one address each minute.
        burst: Requests of one address at once.
        waiting: Deliveries that may wait to be carried out.
        keep_days: Days for which a delivery is recognised when it comes again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: dict[Name, Connection] = Field(default_factory=dict)
    workers: dict[Name, JobWorker] = Field(default_factory=dict)
    queues: dict[Name, Queue] = Field(default_factory=dict)
    largest: int = Field(default=5_000_000, ge=1000, le=25_000_000)
    each_minute: int = Field(default=600, ge=1)
    burst: int = Field(default=100, ge=1)
    waiting: int = Field(default=1000, ge=1)
    keep_days: float = Field(default=90, ge=1)


def read_configuration(file: Path) -> Configuration:
    """Read the file.

    Raises:
        Refused: It is missing, or says something that is not understood.
    """
    try:
        data = YAML(typ="safe", pure=True).load(file.read_text())
        return TypeAdapter(Configuration).validate_python(data)
    except OSError as error:
        raise Refused(
            f"{file} cannot be read: {error.strerror}", hint="see docs/webhooks.md"
        ) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise Refused(f"{file} is no YAML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise Refused(f"{file}: {place}: {first['msg']}") from error


class Secrets:
    """The values of secrets, fetched again now and then.

    A secret that cannot be fetched keeps its last value: a server of Prefect's that is
    down for a moment turns nobody away.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, bytes]] = {}

    def values(self, references: list[str]) -> list[bytes]:
        """Those that can be had."""
        found = [self._value(reference) for reference in references]
        return [value for value in found if value]

    def _value(self, reference: str) -> bytes | None:
        now = time.monotonic()
        until, value = self._known.get(reference, (now, b""))
        if now < until:
            return value or None
        pause = RENEWED
        try:
            value = fetch_secret(reference).encode()
        except ActionFailed as error:
            _LOG.warning("%s", error.message)
            pause = TRIED_AGAIN
        self._known[reference] = (now + pause, value)
        return value or None


def fetch_secret(reference: str) -> str:
    """The value of a secret of the configuration.

    Raises:
        ActionFailed: It cannot be had, or is too short.
    """
    if reference.startswith("file:"):
        file = Path(reference.removeprefix("file:"))
        try:
            value = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ActionFailed(f"secret '{reference}' cannot be read") from error
    else:
        value = fetch_secrets({"secret": reference})["secret"]
    if len(value) < SHORTEST:
        raise ActionFailed(f"secret '{reference}' has fewer than {SHORTEST} characters")
    return value
