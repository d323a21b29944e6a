"""Environments by name, as a definition configures them."""

from pathlib import Path

import pytest

from prefect_delivery.blocks import HostEnvironment, find_environment
from prefect_delivery.errors import Refused
from prefect_delivery.rollout import Canary


def test_an_inline_environment_is_made_of_its_configuration(tmp_path: Path) -> None:
    inline = {
        "staging": {
            "kind": "host",
            "root": str(tmp_path),
            "port": 8080,
            "service": {"command": ["server"], "ready": {"path": "/health"}},
            "strategy": {"canary": [{"percent": 10, "pause": 60}]},
            "hooks": {"on_rollback": ["./tell"]},
        }
    }

    found = find_environment("staging", inline)

    assert isinstance(found, HostEnvironment)
    assert isinstance(found.strategy, Canary)
    assert found.address == "http://127.0.0.1:8080"


def test_a_relative_root_is_below_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    found = find_environment("staging", {"staging": {"kind": "host", "root": "site"}})
    monkeypatch.chdir("/")

    assert isinstance(found, HostEnvironment)
    assert found.root == tmp_path / "site"


def test_a_configuration_makes_the_same_environment_again(tmp_path: Path) -> None:
    made = HostEnvironment.model_validate(
        {
            "root": tmp_path,
            "port": 8080,
            "service": {"command": ["server"]},
            "strategy": {"linear": {"percent": 25}},
            "checks": [{"url": "/health"}],
        }
    )

    assert find_environment("again", {"again": made.configuration()}) == made


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"root": "x"}, "unknown kind ''"),
        ({"kind": "hots", "root": "x"}, "unknown kind 'hots'"),
        ({"kind": "host"}, "root: Field required"),
        ({"kind": "host", "root": "x", "prot": 1}, "prot: Extra inputs"),
        ({"kind": "host", "root": "x", "service": {"command": ["a"]}}, "needs a port"),
        ({"kind": "host", "root": "x", "checks": [{"url": "a"}]}, "checks.0.url"),
    ],
)
def test_a_wrong_configuration_is_explained(
    configuration: dict[str, object], message: str
) -> None:
    with pytest.raises(Refused, match=message):
        find_environment("staging", {"staging": configuration})


def test_an_environment_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Refused, match="no environment 'staging'"):
        find_environment("staging")
