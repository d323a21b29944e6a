"""The command `demo`."""

from typing import Annotated

from cyclopts import Parameter

from prefect_delivery.cli.codes import OK
from prefect_delivery.cli.drive import UseServer, show_execution
from prefect_delivery.cli.looking import history
from prefect_delivery.cli.terminal import write
from prefect_delivery.ledger import Ledger

Flag = Annotated[bool, Parameter(negative="")]


def demo(*, local: Flag = False, stop: Flag = False) -> int:
    """See a delivery from source to rollback, in a minute.

    A small real repository, its pipeline, a running service: a first release, a second
    one under load, and a bad third commit that is rolled back by itself.

    For example:

        deliver demo
        deliver demo --local    # without a Prefect server
        deliver demo --stop     # end the service it left running, and its server

    Args:
        local: Without Prefect's engine and server.
        stop: End what an earlier demo left running.
    """
    from prefect_delivery import demo as show

    if stop:
        return _stop()
    ledger = Ledger.open()
    with UseServer(local) as server:
        played = show.Demo(
            show.folder(),
            ledger,
            lambda execution: show_execution(ledger, execution, local=local),
            write,
        )
        played.play()
    history("demo", limit=3)
    _what_next(played.shop, server.url)
    return OK


def _stop() -> int:
    from prefect_delivery import demo as show
    from prefect_delivery.deployments.private_server import stop_private_server

    ended = show.stop(show.folder())
    server = stop_private_server()
    write("ended the demo" if ended or server else "no demo is running")
    return OK


def _what_next(shop: object, url: str | None) -> None:
    write("Look at it:")
    write("  deliver logs demo --failed")
    write("  deliver releases production")
    if url:
        write(f"  {url.removesuffix('/api')}/runs    (Prefect: runs, logs, stage page)")
    write("Change it:")
    write(f"  cd {shop} && deliver run")
    write("End it:")
    write("  deliver demo --stop")
