"""Two ways to carry out an action: through Prefect's task engine, or directly."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol, cast

from prefect import Task
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from prefect_delivery.actions import ActionFailed, Outputs

Result = Outputs | BaseException
MAX_PARALLEL = 50
"""Actions at once: as many as a stage may have."""


class Performer(Protocol):
    """Carries out actions side by side."""

    def submit(
        self,
        task: Task[..., Any],
        arguments: dict[str, Any],
        name: str,
        done: Callable[[Result], None],
    ) -> None:
        """Start `task` and call `done`, from any thread, when it has ended."""
        ...

    def join(self) -> None:
        """Wait until everything submitted has ended."""
        ...


class Direct:
    """Calls the tasks' functions in threads: no server, no Prefect run."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_PARALLEL, thread_name_prefix="action")

    def submit(
        self,
        task: Task[..., Any],
        arguments: dict[str, Any],
        name: str,
        done: Callable[[Result], None],
    ) -> None:
        call = partial(task.fn, **arguments)
        future = self._threads.submit(copy_context().run, call)
        future.add_done_callback(lambda ended: done(_outcome(ended)))

    def join(self) -> None:
        self._threads.shutdown(wait=True)


def _outcome(future: "Future[Any]") -> Result:
    return future.exception() or as_outputs(future.result())


class Engine:
    """Runs every attempt as a Prefect task run of the current flow run."""

    def __init__(self) -> None:
        self._futures: list[PrefectFuture[Any]] = []

    def submit(
        self,
        task: Task[..., Any],
        arguments: dict[str, Any],
        name: str,
        done: Callable[[Result], None],
    ) -> None:
        future = task.with_options(task_run_name=name).submit(**arguments)
        self._futures.append(future)
        future.add_done_callback(lambda ended: done(_task_result(ended)))

    def join(self) -> None:
        for future in self._futures:
            future.wait()


def task_runner() -> TaskRunner[PrefectFuture[Any]]:
    """The task runner that `Engine` needs."""
    return cast(
        "TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=MAX_PARALLEL)
    )


def _task_result(future: PrefectFuture[Any]) -> Result:
    result = future.result(raise_on_failure=False)
    return result if isinstance(result, BaseException) else as_outputs(result)


def as_outputs(result: Any) -> Result:
    """What an action returned; one that returns nothing leaves nothing."""
    if result is None:
        return Outputs()
    if isinstance(result, Outputs):
        return result
    kind = type(result).__name__
    return ActionFailed(f"the action returned {kind}, not Outputs")
