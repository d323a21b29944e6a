import pytest

from prefect_delivery.errors import Refused
from prefect_delivery.ledger import EnvironmentState, Ledger


def test_an_environment_is_registered_with_its_configuration(ledger: Ledger) -> None:
    ledger.environments.register("production", "host", {"root": "./site"})
    ledger.environments.register("edge", "host", {})
    ledger.environments.register("production", "host", {"root": "./new"})

    assert ledger.environments.list() == [
        EnvironmentState(name="edge", kind="host"),
        EnvironmentState(
            name="production", kind="host", configuration={"root": "./new"}
        ),
    ]


def test_registering_the_same_again_is_not_a_change(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.environments.register("production", "host", {"root": "./site"})

    assert len(ledger.audit.entries()) == 1


def test_an_unknown_environment_is_told_with_the_known_ones(ledger: Ledger) -> None:
    ledger.environments.register("production", "host", {})

    with pytest.raises(Refused, match="there is no environment 'prod'") as refused:
        ledger.environments.get("prod")

    assert refused.value.hint == "there are: production"


def test_what_is_not_locked_cannot_be_unlocked(ledger: Ledger) -> None:
    ledger.environments.register("production", "host", {})

    with pytest.raises(Refused, match="environment 'production' is not locked"):
        ledger.environments.unlock("production", by="ann", reason="to be sure")
