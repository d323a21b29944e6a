"""What the warm start needs of Prefect's private modules is checked."""

from collections.abc import Callable
from typing import Any

import pytest
from prefect.runner._cancellation_manager import CancellationManager
from prefect.runner._flow_run_executor import FlowRunExecutor
from prefect.runner._process_manager import ProcessManager

from prefect_delivery.deployments import warm_start


def test_the_installed_prefect_fits() -> None:
    assert warm_start.misfit() is None


def _renamed(self: Any, run: Any) -> None: ...
def _more(self: Any, flow_run: Any, reason: Any) -> None: ...
def _optional(self: Any, flow_run: Any, reason: Any = None) -> None: ...


@pytest.mark.parametrize(
    ("changed", "lacking"),
    [(_renamed, "flow_run, run"), (_more, "reason"), (_optional, None)],
)
def test_other_parameters_are_noticed(
    monkeypatch: pytest.MonkeyPatch, changed: Callable[..., Any], lacking: str | None
) -> None:
    monkeypatch.setattr(CancellationManager, "cancel", changed)

    found = warm_start.misfit()

    assert found is None if lacking is None else found and found.endswith(lacking)


@pytest.mark.parametrize(
    ("kind", "name"), [(FlowRunExecutor, "submit"), (ProcessManager, "remove")]
)
def test_what_is_missing_is_noticed(
    monkeypatch: pytest.MonkeyPatch, kind: type, name: str
) -> None:
    monkeypatch.delattr(kind, name)

    found = warm_start.misfit()

    assert found and name in found
