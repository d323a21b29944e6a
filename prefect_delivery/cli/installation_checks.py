"""What `doctor` looks at where a Prefect server is configured: a team's installation.

Prefect's database, its messaging and the API replicas are looked at where environment
variables name them, as those of `deployments/team` do.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from prefect_delivery.cli.checks import Check, without_password
from prefect_delivery.cli.waiting_runs import waiting_runs
from prefect_delivery.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect.client.orchestration import SyncPrefectClient

PATIENCE = 15.0
"""Seconds that anything may take to answer."""
ECHO = 30.0
"""Seconds that an event may take through messaging and services into the database."""
LATE = timedelta(minutes=5)
"""Prefect marks a run as late some 20 seconds after its time, when it is not busy."""
SKEW = 5.0
"""Seconds that two clocks may differ."""
_SERVICES = "start one (prefect server services start), with the API's environment"
_MESSAGING = "prefect_redis.messaging"


def installation_checks() -> list[Check]:
    """Look at the server, what it needs, and who works for it; nothing without one."""
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if url is None:
        return []
    looked = [
        _tried("database", _database, _ENVIRONMENT),
        _tried("messaging", _messaging, _ENVIRONMENT),
        _tried("api replicas", _replicas, "start it: prefect server start"),
    ]
    with _client(url) as client:
        checks: list[tuple[str, Callable[[SyncPrefectClient], Check | None], str]] = [
            ("server version", _version, ""),
            ("clock", _clock, ""),
            ("services", _services, _SERVICES),
            ("late runs", _late_runs, _SERVICES),
            ("shared ledger", _shared_ledger, ""),
            ("workers", _workers, ""),
            ("waiting runs", _waiting_runs, ""),
        ]
        for name, check, remedy in checks:
            looked.append(_tried(name, lambda check=check: check(client), remedy))  # type: ignore[misc]
    return [check for check in looked if check]


_ENVIRONMENT = "compare the environment with deployments/team"


def _tried(name: str, check: Callable[[], Check | None], remedy: str) -> Check | None:
    """What a check finds; when it cannot find out, why."""
    import psycopg
    from httpx import HTTPError
    from prefect.exceptions import PrefectException

    try:
        return check()
    except (HTTPError, PrefectException, psycopg.Error, OSError, ValueError) as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        return Check(name=name, ok=False, found=without_password(said), remedy=remedy)


@contextmanager
def _client(url: str) -> "Iterator[SyncPrefectClient]":
    from prefect.client.orchestration import get_client
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    # What a person waits for is not repeated for a minute.
    with (
        temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client({"timeout": PATIENCE}, sync_client=True) as client,
    ):
        yield client


def _database() -> Check | None:
    """Prefect's database answers, and has the schema of the Prefect that is here."""
    import prefect.server.database
    import psycopg
    from alembic.script import ScriptDirectory
    from prefect.server.database.alembic_commands import alembic_config
    from prefect.settings import get_current_settings

    secret = get_current_settings().server.database.connection_url
    url = secret.get_secret_value() if secret else ""
    if not url.startswith("postgresql"):
        return None
    scheme, _, rest = url.partition("://")
    with psycopg.connect(
        f"{scheme.partition('+')[0]}://{rest}", connect_timeout=int(PATIENCE)
    ) as connection:
        table = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
        row = (
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
            if table and table[0]
            else None
        )
    config = alembic_config()
    migrations = Path(prefect.server.database.__file__).parent / "_migrations"
    config.set_main_option("version_locations", str(migrations / "versions/postgresql"))
    wanted = ScriptDirectory.from_config(config).get_current_head()
    found = row[0] if row else "none"
    return Check(
        name="database",
        ok=found == wanted,
        found=f"{without_password(url)}, schema {found}"
        + ("" if found == wanted else f" (wanted {wanted})"),
        remedy="prefect server database upgrade -y, with all API replicas stopped",
    )


def _messaging() -> Check | None:
    """What one replica hears of comes to all, where there are several."""
    from prefect.settings import get_current_settings

    broker = get_current_settings().server.events.messaging_broker
    if broker != _MESSAGING:
        if len(settings().replicas) < 2:
            return None
        return Check(
            name="messaging",
            ok=False,
            found=f"{broker}: what one replica hears of stays with it",
            remedy=f"set PREFECT_MESSAGING_BROKER={_MESSAGING}, and what belongs to it",
        )
    version = asyncio.run(_redis_version())
    return Check(name="messaging", ok=True, found=f"Redis {version}")


async def _redis_version() -> str:
    from prefect_redis.client import (  # type: ignore[import-untyped]
        RedisMessagingSettings,
        async_redis_from_settings,
    )
    from redis.exceptions import RedisError

    client = async_redis_from_settings(
        RedisMessagingSettings(), socket_connect_timeout=PATIENCE
    )
    try:
        return str((await client.info("server"))["redis_version"])
    except RedisError as error:
        raise OSError(f"Redis does not answer: {error}") from error
    finally:
        await client.aclose()


def _replicas() -> Check | None:
    """Each API replica answers, all with the same version."""
    urls = settings().replicas
    if not urls:
        return None
    found = {}
    for url in urls:
        try:
            with _client(url) as client:
                found[url] = client.api_version()
        except Exception as error:
            raise OSError(f"{url} does not answer: {error}") from error
    return Check(
        name="api replicas",
        ok=len(set(found.values())) == 1,
        found=", ".join(f"{url} {version}" for url, version in found.items()),
        remedy="install one version of Prefect for all of them",
    )


def _version(client: "SyncPrefectClient") -> Check:
    import prefect

    theirs, ours = client.api_version(), prefect.__version__
    return Check(
        name="server version",
        ok=theirs.split(".")[:2] == ours.split(".")[:2],
        found=f"Prefect {theirs}, and here {ours}",
        remedy=f"pip install 'prefect=={theirs}', or upgrade the server",
    )


def _clock(client: "SyncPrefectClient") -> Check | None:
    before = datetime.now(UTC)
    said = client.request("GET", "/health").headers.get("date")
    if said is None:
        return None
    there, after = parsedate_to_datetime(said), datetime.now(UTC)
    # A server that is busy answers late, which is not its clock's fault.
    early, late = (before - there).total_seconds(), (there - after).total_seconds()
    apart = max(early, late, 0)
    return Check(
        name="clock",
        ok=apart <= SKEW,
        found=f"{apart:.0f} s from the server's",
        remedy="let both machines keep time (NTP): leases and approvals go by it",
    )


def _services(client: "SyncPrefectClient") -> Check:
    """An event comes back: the API, messaging, services and database work together."""
    from prefect.events.filters import EventFilter, EventIDFilter

    event = uuid4()
    resource = {"prefect.resource.id": "prefect-delivery.doctor"}
    told = {
        "id": str(event),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "prefect-delivery.doctor",
        "resource": resource,
    }
    client.request("POST", "/events", json=[told])
    start = time.monotonic()
    wanted = EventFilter(id=EventIDFilter(id=[event]))
    while (waited := time.monotonic() - start) < ECHO:
        if client.read_events(wanted, limit=1).events:
            return Check(
                name="services",
                ok=True,
                found=f"an event was recorded after {waited:.1f} s",
            )
        time.sleep(0.2)
    return Check(
        name="services",
        ok=False,
        found=f"an event was not recorded in {ECHO:.0f} s",
        remedy=_SERVICES,
    )


def _late_runs(client: "SyncPrefectClient") -> Check:
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterNextScheduledStartTime,
        FlowRunFilterState,
        FlowRunFilterStateName,
    )

    overdue = client.count_flow_runs(
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Scheduled"])),
            next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(
                before_=datetime.now(UTC) - LATE
            ),
        )
    )
    return Check(
        name="late runs",
        ok=not overdue,
        found=f"{overdue} runs are overdue and not marked" if overdue else "are marked",
        remedy=_SERVICES,
    )


def _shared_ledger(client: "SyncPrefectClient") -> Check | None:
    """Those who deploy and those who carry out write into one ledger."""
    from prefect_delivery.ledger import Ledger

    url = settings().ledger
    server = urlsplit(str(client.api_url)).hostname or ""
    remedy = "set PREFECT_DELIVERY_LEDGER_URL to that of the installation"
    if url.startswith("sqlite") and not _is_here(server):
        return Check(
            name="shared ledger",
            ok=False,
            found=f"the server is on {server}, the ledger is a file of this machine",
            remedy=remedy,
        )
    with Ledger.open() as ledger:
        known = {each.definition.pipeline for each in ledger.deployments.list()}
    deployed = {name for name, _ in _deployed(client)}
    if unknown := sorted(deployed - known):
        return Check(
            name="shared ledger",
            ok=False,
            found=f"does not know what is deployed: {', '.join(unknown)}",
            remedy=f"{remedy}, or deploy them again: deliver deploy",
        )
    return Check(
        name="shared ledger", ok=True, found=f"knows all {len(deployed)} pipelines"
    )


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _workers(client: "SyncPrefectClient") -> Check | None:
    """Each pool that a pipeline is deployed to has a worker."""
    from prefect.client.schemas.objects import WorkerStatus
    from prefect.exceptions import ObjectNotFound

    pools = sorted({pool for _, pool in _deployed(client) if pool})
    if not pools:
        return None
    online: dict[str, list[str]] = {}
    for pool in pools:
        try:
            workers = client.read_workers_for_work_pool(pool)
        except ObjectNotFound:
            workers = []
        online[pool] = [w.name for w in workers if w.status == WorkerStatus.ONLINE]
    idle = [pool for pool, workers in online.items() if not workers]
    return Check(
        name="workers",
        ok=not idle,
        found=f"no worker is online for {', '.join(idle)}"
        if idle
        else "; ".join(f"{pool}: {', '.join(w)}" for pool, w in online.items()),
        remedy="; ".join(f"deliver worker {pool}" for pool in idle),
    )


def _waiting_runs(client: "SyncPrefectClient") -> Check:
    from prefect_delivery.ledger import Ledger

    with Ledger.open() as ledger:
        lines = waiting_runs(ledger, client)
    first = lines[0] if lines else "none"
    return Check(
        name="waiting runs",
        ok=not lines,
        found=first if len(lines) < 2 else f"{first}; and {len(lines) - 1} more",
        remedy="deliver status names all; deliver worker POOL takes them up",
    )


def _deployed(client: "SyncPrefectClient") -> list[tuple[str, str | None]]:
    """Name and work pool of each pipeline that Prefect has."""
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterTags,
        FlowFilter,
        FlowFilterName,
    )

    found: list[tuple[str, str | None]] = []
    page = True
    while page:
        some = client.read_deployments(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["pipeline"])),
            deployment_filter=DeploymentFilter(
                tags=DeploymentFilterTags(all_=["delivery"])
            ),
            limit=200,
            offset=len(found),
        )
        found += [(each.name, each.work_pool_name) for each in some]
        page = bool(some)
    return found
