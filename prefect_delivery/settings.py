"""Where this installation keeps its ledger, artifacts, workspaces and logs."""

import os
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


def _default_home() -> Path:
    prefect = os.environ.get("PREFECT_HOME")
    return (Path(prefect) if prefect else Path.home() / ".prefect") / "delivery"


class Settings(BaseSettings):
    """Settings, each read from an environment variable `PREFECT_DELIVERY_<NAME>`.

    Attributes:
        home: Folder for everything below; created when missing.
        ledger_url: SQLAlchemy URL of the ledger; SQLite under `home` by default.
        artifact_store: Folder of the artifact store.
        keep_artifacts_days: Days until an artifact may be removed that neither a
            rollback nor a retry of a latest execution needs.
    """

    model_config = SettingsConfigDict(env_prefix="PREFECT_DELIVERY_")

    home: Path = _default_home()
    ledger_url: str | None = None
    artifact_store: Path | None = None
    keep_artifacts_days: float = 30

    @property
    def ledger(self) -> str:
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def artifacts(self) -> Path:
        return self.artifact_store or self.home / "artifacts"

    @property
    def workspaces(self) -> Path:
        return self.home / "workspaces"

    @property
    def logs(self) -> Path:
        return self.home / "logs"


def settings() -> Settings:
    """Read the settings as the environment has them now."""
    return Settings(
        home=Path(os.environ.get("PREFECT_DELIVERY_HOME") or _default_home())
    )
