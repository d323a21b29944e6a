import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.tasks.invoke.python import call


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that is installed on the worker."""
    (tmp_path / "acme_release.py").write_text(
        dedent("""
            import threading

            from prefect_delivery.actions import ActionFailed

            constant = 3
            never = threading.Event()

            def announce(version): return {"url": f"http://acme/{version}"}
            def nothing(): pass
            def odd(): return {"a": 1}
            def fail(): raise KeyError("lost")
            def refuse(): raise ActionFailed("not on a Friday")
            def wait(): never.wait()
        """)
    )
    (tmp_path / "acme_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    yield "acme_release"
    if loaded := sys.modules.pop("acme_release", None):
        loaded.never.set()


def test_the_returned_dictionary_becomes_variables(module: str) -> None:
    outputs = call.fn(f"{module}:announce", arguments={"version": "1.2"})

    assert outputs.variables == {"url": "http://acme/1.2"}
    assert call.fn(f"{module}:nothing").variables == {}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("acme_release", "'acme_release' is not of the form module:name"),
        ("acme_release:a.b", "is not of the form module:name"),
        ("acme_missing:go", "module 'acme_missing' cannot be imported"),
        ("acme_broken:go", "module 'acme_broken' cannot be imported: division by zero"),
        ("acme_release:missing", "module 'acme_release' has no function 'missing'"),
        ("acme_release:constant", "module 'acme_release' has no function 'constant'"),
        ("acme_release:odd", "did not return a dictionary of strings"),
        ("acme_release:fail", "'acme_release:fail' raised KeyError: 'lost'"),
        ("acme_release:refuse", "^not on a Friday$"),
        ("acme_release:announce", "raised TypeError: .*'version'"),
    ],
)
def test_a_call_that_fails_says_why(module: str, function: str, message: str) -> None:
    with pytest.raises(ActionFailed, match=message):
        call.fn(function)


def test_a_stopped_call_is_not_waited_for(module: str) -> None:
    job = Job()
    threading.Timer(0.1, job.cancel, ["stopped by ann"]).start()

    with pytest.raises(ActionFailed, match="stopped by ann"):
        call.fn(f"{module}:wait", job=job)


def test_a_call_that_takes_too_long_fails(module: str) -> None:
    with pytest.raises(ActionFailed, match=r"did not end within 0\.001 min"):
        call.fn(f"{module}:wait", timeout=0.001)
