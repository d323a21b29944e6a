"""Where this installation keeps its ledger, artifacts, workspaces and logs."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_BUCKETS = r"^\s*([\w-]+=[\w.-]+(\s+|$))*$"


def _default_home() -> Path:
    prefect = os.environ.get("PREFECT_HOME")
    return (Path(prefect) if prefect else Path.home() / ".prefect") / "delivery"


class Settings(BaseSettings):
    """Settings, each read from an environment variable `PREFECT_DELIVERY_<NAME>`.

    Attributes:
        home: Folder for everything below; created when missing.
        ledger_url: SQLAlchemy URL of the ledger; SQLite under `home` by default.
        artifact_store: Folder of the artifact store, or `s3://bucket/prefix`. One in S3
            is shared by all machines, each of which keeps what it used under `home`.
        artifact_credentials: Name of the `AwsCredentials` block for S3; what the
            process has by default.
        artifact_kms_key: Id or ARN of the KMS key that S3 encrypts artifacts with; the
            bucket's own encryption by default.
        aws_bucket: S3 bucket for artifacts on their way to AWS services and back.
        aws_buckets: Those of other regions, as `region=bucket` with blanks between them.
        keep_artifacts_days: Days until an artifact may be removed that neither a
            rollback nor a retry of a latest execution needs.
        lease: Seconds after which an execution whose process gives no sign is taken
            over.
        server_url: Where actions that run on a work pool reach `deliver server`.
        suspend_after: Seconds that a deployed run waits before it is suspended.
        api_replicas: URLs of the APIs of all replicas of Prefect's server, with blanks
            between them; `deliver doctor` looks at each.
    """

    model_config = SettingsConfigDict(env_prefix="PREFECT_DELIVERY_", frozen=True)

    home: Path = _default_home()
    ledger_url: str | None = None
    artifact_store: str | None = None
    artifact_credentials: str | None = None
    artifact_kms_key: str | None = None
    aws_bucket: str | None = None
    aws_buckets: Annotated[str, Field(pattern=_BUCKETS)] = ""
    keep_artifacts_days: float = 30
    lease: float = Field(default=60, ge=1, le=3600)
    server_url: str = "http://127.0.0.1:4280"
    suspend_after: float = Field(default=5, ge=0)
    api_replicas: str = ""

    @property
    def ledger(self) -> str:
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def artifacts(self) -> Path:
        """Folder of artifacts on this machine."""
        if self.artifact_store and self.artifact_bucket is None:
            return Path(self.artifact_store)
        return self.home / "artifacts"

    @property
    def artifact_bucket(self) -> str | None:
        """Where all machines share artifacts, as `s3://bucket/prefix`."""
        found = self.artifact_store
        return found if found and found.startswith("s3://") else None

    def bucket_in(self, region: str) -> str | None:
        """S3 bucket for what goes to AWS services of a region."""
        of_regions = dict(each.split("=") for each in self.aws_buckets.split())
        return of_regions.get(region, self.aws_bucket)

    @property
    def replicas(self) -> list[str]:
        return self.api_replicas.split()

    @property
    def workspaces(self) -> Path:
        return self.home / "workspaces"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def server(self) -> Path:
        """Configuration of `deliver server`."""
        return self.home / "server.yaml"


_VARIABLES = (
    *(f"PREFECT_DELIVERY_{name.upper()}" for name in Settings.model_fields),
    *("PREFECT_HOME", "HOME"),
)


def settings() -> Settings:
    """The settings as the environment has them now."""
    return _read(*map(os.environ.get, _VARIABLES))


@lru_cache(maxsize=8)
def _read(*_: str | None) -> Settings:
    # To read them takes as long as to record an action, and every action asks often.
    return Settings(
        home=Path(os.environ.get("PREFECT_DELIVERY_HOME") or _default_home())
    )
