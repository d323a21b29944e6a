"""Runs the builds of a batch side by side, as far as they allow each other."""

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from pathlib import Path
from threading import Event

from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.errors import DeliveryError
from prefect_delivery.tasks.build.buildspec_build import make
from prefect_delivery.tasks.build.buildspec_order import Built, Order


def run_batch(
    orders: list[Order], folder: Path, parallel: int, *, fast_fail: bool, job: Job
) -> Built:
    """Run builds, each once those it depends on have succeeded.

    Args:
        parallel: Builds that run at the same time.
        fast_fail: Stop the others once one has failed.

    Returns:
        What all builds left; the artifact of each by its identifier.

    Raises:
        ActionFailed: The action was stopped.
    """
    stop = Event()
    job.on_stop(stop.set)
    waiting = {_name(order): order for order in orders}
    done: dict[str, Built] = {}
    running: dict[Future[Built], str] = {}
    broken = False
    with ThreadPoolExecutor(parallel, "delivery-batch") as threads:
        while waiting or running:
            for name in [] if stop.is_set() else _ready(waiting, done):
                if len(running) >= parallel:
                    break
                order = waiting.pop(name)
                if any(not _good(done[one], orders, one) for one in _after(order)):
                    job.log(f"[{name}] is not run: a build before it failed")
                    done[name] = Built(failure="a build before it failed")
                    broken = broken or not _ignored(order)
                    continue
                place = folder / f"b{len(done) + len(running)}"
                place.mkdir()
                context = copy_context()
                future = threads.submit(context.run, _run, order, place, job, stop)
                running[future] = name
            if stop.is_set():
                for name in waiting:
                    done[name] = Built(failure="was not run")
                waiting.clear()
            if not running:
                continue
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                done[name] = future.result()
                if done[name].failure and not _ignored(_order(orders, name)):
                    broken = True
                    if fast_fail:
                        stop.set()
    if job.cancelled.is_set():
        raise ActionFailed(job.reason)
    return _together({_name(o): done[_name(o)] for o in orders}, orders, broken, job)


def _run(order: Order, place: Path, job: Job, stop: Event) -> Built:
    try:
        return make(order, place, job, stop)
    except DeliveryError as error:
        job.log(f"[{_name(order)}] {error}")
        return Built(failure=error.message)


def _ready(waiting: dict[str, Order], done: dict[str, Built]) -> list[str]:
    return [
        name
        for name, order in waiting.items()
        if all(one in done for one in _after(order))
    ]


def _together(
    done: dict[str, Built], orders: list[Order], broken: bool, job: Job
) -> Built:
    """The results of all builds as one."""
    together = Built()
    failed = []
    for name, built in done.items():
        state = f"FAILED: {built.failure}" if built.failure else "SUCCEEDED"
        job.log(f"build {name} {state}")
        if built.failure and not _ignored(_order(orders, name)):
            failed.append(f"{name} ({built.failure})")
        for identifier, tree in built.artifacts.items():
            together.artifacts[identifier or name] = tree
        together.variables |= built.variables
        together.reports += built.reports
    if broken or failed:
        count = f"{len(failed)} of {len(done)} builds failed"
        together.failure = f"{count}: {', '.join(failed[:3])}"
    return together


def _good(built: Built, orders: list[Order], name: str) -> bool:
    return built.failure is None or _ignored(_order(orders, name))


def _order(orders: list[Order], name: str) -> Order:
    return next(order for order in orders if _name(order) == name)


def _name(order: Order) -> str:
    return order.batch.identifier if order.batch else ""


def _after(order: Order) -> tuple[str, ...]:
    return order.batch.after if order.batch else ()


def _ignored(order: Order) -> bool:
    return bool(order.batch and order.batch.ignore_failure)
