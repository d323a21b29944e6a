"""The application that `deliver server` serves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from prefect_delivery.errors import ActionFailed, LedgerError
from prefect_delivery.inbox import process
from prefect_delivery.ledger import Ledger
from prefect_delivery.server.connections import Configuration, Queue
from prefect_delivery.server.hooks import Hooks
from prefect_delivery.server.job_workers import JobWorkersServer
from prefect_delivery.server.remote import RemoteActionsServer
from prefect_delivery.server.statuses import Publisher

EVERY = 5.0
"""Seconds after which is looked at what is due again, though nothing has come."""
FORGET_EVERY = 3600.0
TELL_EVERY = 2.0
"""Seconds between two looks at what forges are to be told."""
_LOG = logging.getLogger("prefect_delivery.server")


def create_app(
    configuration: Configuration,
    ledger: Ledger,
    *,
    carry_out: Callable[[Ledger], int] | None = process,
) -> Starlette:
    """Make the application.

    Args:
        carry_out: Does what webhooks ask for; None leaves it to `reconcile`.
    """
    some = asyncio.Event()
    loop: asyncio.AbstractEventLoop | None = None

    def accepted() -> None:
        if loop is not None:
            loop.call_soon_threadsafe(some.set)

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        nonlocal loop
        loop = asyncio.get_running_loop()
        chores = [asyncio.create_task(_forget(ledger, configuration.keep_days))]
        if (publisher := Publisher(configuration, ledger)).has_work:
            chores.append(asyncio.create_task(_tell(publisher)))
        for name, queue in configuration.queues.items():
            chores.append(asyncio.create_task(_listen(ledger, name, queue)))
        if carry_out is not None:
            chores.append(asyncio.create_task(_work(ledger, some, carry_out)))
        yield
        for chore in chores:
            chore.cancel()
            with suppress(asyncio.CancelledError):
                await chore

    async def health(_: Request) -> JSONResponse:
        try:
            waiting = await run_sync(ledger.inbox.waiting)
        except LedgerError as error:
            return JSONResponse({"said": error.message}, 503)
        return JSONResponse({"said": "ok", "waiting": waiting})

    hooks = Hooks(configuration, ledger, accepted)
    return Starlette(
        routes=[
            Route("/delivery/hooks/{connection}", hooks.take, methods=["POST"]),
            Route("/delivery/health", health),
            *RemoteActionsServer(ledger).routes(),
            *JobWorkersServer(configuration, ledger).routes(),
        ],
        lifespan=life,
    )


async def _work(
    ledger: Ledger, some: asyncio.Event, carry_out: Callable[[Ledger], int]
) -> None:
    while True:
        some.clear()
        try:
            done = await run_sync(carry_out, ledger)
        except LedgerError as error:
            _LOG.warning("%s", error.message)
            done = 0
        if not done:
            with suppress(TimeoutError):
                await asyncio.wait_for(some.wait(), EVERY)


async def _listen(ledger: Ledger, name: str, queue: Queue) -> None:
    # Clients of AWS take seconds to import, and most servers have no queues.
    from prefect_delivery.queues import take_from

    while True:
        try:
            await run_sync(
                lambda: take_from(ledger, **queue.model_dump()), abandon_on_cancel=True
            )
        except (ActionFailed, LedgerError) as error:
            _LOG.warning("queue %s: %s", name, error.message)
            await asyncio.sleep(EVERY)
        except Exception:  # noqa: BLE001 - logged, and tried again
            _LOG.exception("queue %s", name)
            await asyncio.sleep(EVERY)


async def _tell(publisher: Publisher) -> None:
    while True:
        try:
            await run_sync(publisher.publish)
        except LedgerError as error:
            _LOG.warning("%s", error.message)
        await asyncio.sleep(TELL_EVERY)


async def _forget(ledger: Ledger, days: float) -> None:
    while True:
        try:
            await run_sync(lambda: ledger.inbox.forget(days=days))
            await run_sync(lambda: ledger.remote.forget(days=days))
            await run_sync(lambda: ledger.jobs.forget(days=days))
        except LedgerError as error:
            _LOG.warning("%s", error.message)
        await asyncio.sleep(FORGET_EVERY)
