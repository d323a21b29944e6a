"""Leases and rollouts in every order, against a model of a few dictionaries."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.errors import LeaseLost, Refused
from prefect_delivery.ledger import Lease, Ledger

OpenLedger = Callable[[Callable[[], datetime]], Ledger]
"""Opens the same ledger with a clock, any number of times."""
NAMES = st.sampled_from(["production", "staging"])
HOLDERS = st.sampled_from(["ann", "bob", "cid"])
TTL = 30


class LeaseMachine(RuleBasedStateMachine):
    """The model knows who holds what until when, and what each environment runs."""

    leases: Bundle[Lease] = Bundle("leases")
    opened: Bundle[tuple[str, str, str]] = Bundle("opened")

    def __init__(self, open_ledger: OpenLedger) -> None:
        super().__init__()
        self.open_ledger = open_ledger
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.ledger = self.connect()
        self.releases = [
            self.ledger.releases.create(
                pipeline="shop",
                execution_id="",
                artifact=ArtifactRef(digest=digest, size=1),
                revisions={},
                definition_digest="d",
                variables={},
            ).digest
            for digest in "ab"
        ]
        self.holder: dict[str, tuple[int, datetime] | None] = {}
        self.tokens: dict[str, int] = {}
        self.open_one: dict[str, str] = {}
        self.current: dict[str, str] = {}
        self.locked: set[str] = set()

    def connect(self) -> Ledger:
        return self.open_ledger(lambda: self.now)

    def teardown(self) -> None:
        self.ledger.audit.verify()
        self.ledger.close()

    def is_held(self, lease: Lease) -> bool:
        held = self.holder.get(lease.name)
        return held is not None and held[0] == lease.token

    @rule(target=leases, name=NAMES, holder=HOLDERS)
    def take(self, name: str, holder: str) -> Any:
        held = self.holder.get(name)
        if held and held[1] > self.now:
            with pytest.raises(Refused):
                self.ledger.leases.take(name, holder=holder, ttl=TTL)
            return Lease(name=name, holder=holder, token=0, ttl=TTL, expires=self.now)
        lease = self.ledger.leases.take(name, holder=holder, ttl=TTL)
        assert lease.token == self.tokens.get(name, 0) + 1
        self.tokens[name] = lease.token
        self.holder[name] = lease.token, self.now + timedelta(seconds=TTL)
        return lease

    @rule(lease=leases)
    def renew(self, lease: Lease) -> None:
        if self.is_held(lease):
            self.ledger.leases.renew(lease)
            self.holder[lease.name] = lease.token, self.now + timedelta(seconds=TTL)
        else:
            with pytest.raises(LeaseLost):
                self.ledger.leases.renew(lease)

    @rule(lease=leases)
    def release(self, lease: Lease) -> None:
        self.ledger.leases.release(lease)
        if self.is_held(lease):
            self.holder[lease.name] = None

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.ledger = self.connect()

    @rule(target=opened, lease=leases, which=st.integers(0, 1))
    def open(self, lease: Lease, which: int) -> tuple[str, str, str]:
        def attempt() -> str:
            return self.ledger.rollouts.open(
                lease,
                environment=lease.name,
                release=self.releases[which],
                previous=self.current.get(lease.name),
                execution_id="x",
                kind="forward",
            ).id

        if not self.is_held(lease):
            with pytest.raises(LeaseLost):
                attempt()
        elif lease.name in self.open_one or lease.name in self.locked:
            with pytest.raises(Refused):
                attempt()
        else:
            self.open_one[lease.name] = attempt()
            return lease.name, self.open_one[lease.name], self.releases[which]
        return lease.name, "none", self.releases[which]

    @rule(
        lease=leases,
        rollout=opened,
        status=st.sampled_from(["committed", "rolled-back", "rollback-failed"]),
    )
    def close(self, lease: Lease, rollout: tuple[str, str, str], status: Any) -> None:
        environment, rollout_id, release = rollout
        if self.open_one.get(environment) != rollout_id:
            return
        if not self.is_held(lease) or lease.name != environment:
            with pytest.raises(LeaseLost):
                self.ledger.rollouts.close(lease, rollout_id, status)
            return
        self.ledger.rollouts.close(lease, rollout_id, status)
        del self.open_one[environment]
        if status == "committed":
            self.current[environment] = release
        if status == "rollback-failed":
            self.locked.add(environment)

    @rule(name=NAMES)
    def unlock(self, name: str) -> None:
        if name in self.locked:
            self.ledger.environments.unlock(name, by="ann", reason="repaired")
            self.locked.remove(name)
        else:
            with pytest.raises(Refused):
                self.ledger.environments.unlock(name, by="ann", reason="to be sure")

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        held = {lease.name: lease.token for lease in self.ledger.leases.held()}
        assert held == {name: value[0] for name, value in self.holder.items() if value}
        unfinished = self.ledger.rollouts.unfinished()
        assert {r.environment: r.id for r in unfinished} == self.open_one
        states = self.ledger.environments.list()
        assert {s.name: s.current for s in states if s.current} == self.current
        assert {s.name for s in states if s.locked} == self.locked
