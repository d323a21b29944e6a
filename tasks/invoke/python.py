"""Call a Python function of the worker."""

from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from importlib import import_module
from threading import Thread
from typing import Any

from prefect_delivery.actions import ActionFailed, Job, Minutes, Outputs, action

INTERVAL = 0.1
"""Seconds between two looks at whether the function has returned."""


@action("invoke/python")
def call(
    function: str,
    *,
    arguments: dict[str, Any] = {},
    timeout: Minutes = 60,
    job: Job = Job(),
) -> Outputs:
    """Call a function that is installed on the worker; not one from a checkout.

    It runs in a thread of the worker, which nothing can end from outside: when the
    action is stopped or takes too long, the function is no longer waited for.

    Args:
        function: `module:name`, such as `acme.release:announce`.
        arguments: Keyword arguments.
        timeout: Minutes until the action fails.

    Returns:
        The dictionary of strings that the function returned, as variables.

    Raises:
        ActionFailed: The function cannot be imported, raised an exception, or returned
            something else than None or a dictionary of strings.
    """
    called = _imported(function)
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(called(**arguments))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            future.set_exception(error)

    # A daemon, so that a function that never returns does not keep the worker alive.
    Thread(target=copy_context().run, args=[run], daemon=True).start()
    job.poll(lambda: future.done() or None, timeout=timeout, interval=INTERVAL)
    return Outputs(variables=_variables(function, future))


def _imported(function: str) -> Callable[..., object]:
    module, _, name = function.partition(":")
    if not module or not name.isidentifier():
        raise ActionFailed(f"'{function}' is not of the form module:name")
    try:
        found: object = getattr(import_module(module), name, None)
    except Exception as error:
        raise ActionFailed(
            f"module '{module}' cannot be imported: {error}",
            hint="install it where the worker runs; a checkout is not enough",
        ) from error
    if not callable(found):
        raise ActionFailed(f"module '{module}' has no function '{name}'")
    return found


def _variables(function: str, future: Future[object]) -> dict[str, str]:
    try:
        returned = future.result()
    except ActionFailed:
        raise
    except Exception as error:
        raise ActionFailed(
            f"'{function}' raised {type(error).__name__}: {error}"
        ) from error
    if returned is None:
        return {}
    if not isinstance(returned, dict) or not all(
        isinstance(text, str) for pair in returned.items() for text in pair
    ):
        raise ActionFailed(f"'{function}' did not return a dictionary of strings")
    return returned
