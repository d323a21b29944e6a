"""The command `server`: take webhooks, serve remote actions and job workers."""

import logging
import signal
from pathlib import Path

from prefect_delivery.cli.codes import INTERRUPTED, OK
from prefect_delivery.cli.terminal import clean, one_line, write

CONNECTIONS = 200
"""That are open at once; more are turned away before anything is read of them."""


def server(
    *,
    host: str = "127.0.0.1",
    port: int = 4280,
    config: Path | None = None,
) -> int:
    """Take webhooks, and give actions on work pools what they need.

    A forge sends webhooks to `/delivery/hooks/NAME`, with the name of a connection in the
    configuration; `docs/webhooks.md` says what is in there. What is accepted is kept in
    the ledger before it is answered. Actions with `runs_on` reach it at
    PREFECT_DELIVERY_SERVER_URL; see `docs/work-pools.md`. Job workers of custom actions
    poll `/delivery/codepipeline`; see `docs/job-workers.md`. Put a proxy with TLS before
    it.

    For example:

        deliver server
        deliver server --host 0.0.0.0 --port 8080 --config /etc/delivery/server.yaml

    Args:
        host: Address to listen on.
        port: Port to listen on.
        config: Configuration; by default `server.yaml` in PREFECT_DELIVERY_HOME. Without
            one, no webhooks are taken.

    Returns:
        0 after SIGTERM, 130 after Ctrl-C.
    """
    import uvicorn

    from prefect_delivery.ledger import Ledger
    from prefect_delivery.server.app import create_app
    from prefect_delivery.server.connections import Configuration, read_configuration
    from prefect_delivery.settings import settings

    file = config or settings().server
    # Actions on work pools need the server, and nothing of the file.
    given = config is not None or file.exists()
    configuration = read_configuration(file) if given else Configuration()
    _log()
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn ends at these, and then hands them on to whoever was there before.
        signal.signal(number, lambda number, _: told.append(number))
    for name, connection in configuration.connections.items():
        places = one_line(", ".join(connection.repositories))
        write(f"http://{host}:{port}/delivery/hooks/{name}  {places}")
    for name, worker in configuration.workers.items():
        kinds = one_line(", ".join(worker.actions))
        write(f"http://{host}:{port}/delivery/codepipeline  job worker {name}: {kinds}")
    for queue in configuration.queues.values():
        write(f"{one_line(queue.url)}  is listened to")
    write(f"http://{host}:{port}/delivery/actions  for actions with runs_on")
    with Ledger.open() as ledger:
        uvicorn.run(
            create_app(configuration, ledger),
            host=host,
            port=port,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=10,
        )
    return INTERRUPTED if signal.SIGINT in told else OK


class _Lines(logging.Formatter):
    """Lines with nothing left in them that a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


def _log() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines("%(asctime)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    for name in ("prefect_delivery.inbox", "prefect_delivery.server"):
        logging.getLogger(name).setLevel(logging.INFO)
