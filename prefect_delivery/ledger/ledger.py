"""The ledger as a whole."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import make_url

from prefect_delivery.errors import LedgerError
from prefect_delivery.ledger.audit import Audit
from prefect_delivery.ledger.cache import Cache
from prefect_delivery.ledger.changes import Changes
from prefect_delivery.ledger.database import Database
from prefect_delivery.ledger.deployments import Deployments
from prefect_delivery.ledger.environments import Environments
from prefect_delivery.ledger.executions import Executions
from prefect_delivery.ledger.inbox import Inbox
from prefect_delivery.ledger.jobs import Jobs
from prefect_delivery.ledger.leases import Leases
from prefect_delivery.ledger.outbox import Outbox
from prefect_delivery.ledger.quarantine import Quarantine
from prefect_delivery.ledger.releases import Releases
from prefect_delivery.ledger.remote import RemoteActions
from prefect_delivery.ledger.rollouts import Rollouts
from prefect_delivery.ledger.schema import bring_up_to_date
from prefect_delivery.ledger.statuses import Statuses
from prefect_delivery.ledger.transitions import Transitions
from prefect_delivery.ledger.votes import Votes
from prefect_delivery.ledger.waits import Waits
from prefect_delivery.settings import settings


class Ledger:
    """What durably happened: executions, releases, rollouts, and who may change what.

    One ledger may be used by many threads, and by many processes at once, each with a
    `Ledger` of its own.

    Args:
        url: `sqlite:///file.db`, or `postgresql+psycopg://user@host/database`. Created
            or migrated as needed.
        patience: Seconds to wait for another writer.
        now: Clock to use for everything; by default this machine's clock on SQLite,
            the server's on PostgreSQL.

    Raises:
        LedgerError: It cannot be read, is locked for too long, or is of a newer version.
    """

    def __init__(
        self,
        url: str,
        *,
        patience: float = 30,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._database = Database(url, patience=patience, now=now)
        self.executions = Executions(self._database)
        self.releases = Releases(self._database)
        self.leases = Leases(self._database)
        self.rollouts = Rollouts(self._database)
        self.transitions = Transitions(self._database)
        self.environments = Environments(self._database)
        self.quarantine = Quarantine(self._database)
        self.votes = Votes(self._database)
        self.waits = Waits(self._database)
        self.deployments = Deployments(self._database)
        self.changes = Changes(self._database)
        self.inbox = Inbox(self._database)
        self.statuses = Statuses(self._database)
        self.outbox = Outbox(self._database)
        self.remote = RemoteActions(self._database)
        self.jobs = Jobs(self._database)
        self.cache = Cache(self._database)
        self.audit = Audit(self._database)
        bring_up_to_date(self._database)

    @classmethod
    def open(cls) -> "Ledger":
        """The ledger of the settings; its folder is made when missing.

        Raises:
            LedgerError: See the class.
        """
        url = make_url(settings().ledger)
        if url.get_backend_name() == "sqlite" and url.database:
            try:
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LedgerError(f"no folder for the ledger: {error}") from error
        return cls(settings().ledger)

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._database.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
