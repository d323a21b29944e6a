"""The command `worker`: carry out deployed pipelines on this machine."""

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from prefect_delivery.cli.codes import INTERRUPTED, OK
from prefect_delivery.cli.terminal import write

if TYPE_CHECKING:
    from prefect_delivery.deployments.worker import DeliveryWorker

POOL = "delivery"


def worker(
    pool: str = POOL,
    /,
    *,
    limit: Annotated[
        int | None, Parameter(name=["--limit", "-l"], validator=Number(gte=1))
    ] = None,
    queue: Annotated[
        tuple[str, ...], Parameter(name=["--queue", "-q"], negative="")
    ] = (),
    name: str | None = None,
    drain: Annotated[float, Parameter(validator=Number(gte=0))] = 0,
    wait: Annotated[float, Parameter(validator=Number(gte=0))] = 0,
) -> int:
    """Carry out deployed pipelines on this machine.

    Each begins as soon as it is asked for. The work pool is created when it is missing. SIGTERM and Ctrl-C end the worker and
    the runs that go on, which are undone and closed as if they were stopped; a second
    Ctrl-C does not wait for that. After an upgrade of this package or of your flows,
    restart the worker, or send it SIGHUP: runs from then on begin with the new code.

    For example:

        deliver worker
        deliver worker release --limit 5
        deliver worker release --queue urgent --queue normal
        deliver worker --drain 600    # on SIGTERM, wait up to ten minutes

    Args:
        pool: Name of the work pool.
        limit: Runs at once; by default what the machine's cores and memory carry.
        queue: Only take runs of this work queue; may be given more than once.
        name: Of the worker, as Prefect shows it.
        drain: Seconds to wait, when told to end, for runs to end by themselves.
        wait: Seconds to wait, at the start, for a server that does not answer yet.

    Returns:
        0 after SIGTERM, 130 after Ctrl-C.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from prefect_delivery.deployments.private_server import private_server
    from prefect_delivery.deployments.reachable import configured_server
    from prefect_delivery.deployments.worker import DeliveryWorker

    url = configured_server(wait) or private_server(write)
    with temporary_settings({PREFECT_API_URL: url}):
        made = DeliveryWorker(
            work_pool_name=pool, work_queues=list(queue), name=name, limit=limit
        )
        return asyncio.run(_work(made, drain))


async def _work(made: "DeliveryWorker", drain: float) -> int:
    """Work until told to end; the exit code."""
    told: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.put_nowait, number)
    renewals: set[asyncio.Task[None]] = set()

    def renew() -> None:
        renewals.add(asyncio.create_task(made.renew()))

    loop.add_signal_handler(signal.SIGHUP, renew)
    work = asyncio.create_task(made.start(printer=write))
    end = asyncio.create_task(told.get())
    await asyncio.wait([work, end], return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        end.cancel()
        await work
        return OK
    if drain:
        write(f"told to end: waiting up to {drain:g} s for runs to end")
        again = asyncio.create_task(told.get())
        await asyncio.wait(
            [again, asyncio.create_task(made.drain())],
            timeout=drain,
            return_when=asyncio.FIRST_COMPLETED,
        )
    # From now on, Ctrl-C does not wait.
    loop.remove_signal_handler(signal.SIGINT)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    return INTERRUPTED if end.result() == signal.SIGINT else OK
