"""Rollouts that are worth killing, and what must hold when somebody has cleaned up."""

from dataclasses import dataclass
from typing import Any, Literal

from host_shop import Shop, ask, processes_of, quiet
from processes import Child

from prefect_delivery.blocks import HostEnvironment, HttpCheck
from prefect_delivery.errors import RolloutFailed
from prefect_delivery.ledger import Ledger, Release
from prefect_delivery.rollout import Canary, CanaryStep, recover, roll_out

Traffic = Literal["haproxy", "switch"]
Name = Literal["first", "upgrade", "rollback", "failing"]


@dataclass
class Scenario:
    """A rollout into a shop.

    Attributes:
        before: The release that serves before, if any.
        after: The release that goes in.
        may_end_on: Digests of the releases that may serve afterwards.
    """

    name: Name
    shop: Shop
    host: HostEnvironment
    before: Release | None
    after: Release
    may_end_on: set[str | None]

    def roll_out(self) -> None:
        """Do it, in whatever process this is; undone is fine as well."""
        kind: Any = "rollback" if self.name == "rollback" else "forward"
        try:
            roll_out(
                self.shop.ledger,
                self.host,
                self.shop.environment,
                self.after,
                execution_id="",
                log=quiet,
                kind=kind,
            )
        except RolloutFailed:
            if self.name != "failing":
                raise

    def recover_in_a_new_process(self) -> None:
        assert Child(self.recover).wait() == 0

    def recover(self) -> None:
        self.recover_with(Ledger.open())

    def recover_with(self, ledger: Ledger) -> None:
        recover(ledger, self.host, self.shop.environment, quiet)

    def check_that_one_release_fully_serves(self) -> None:
        ledger, host = self.shop.ledger, self.host
        serving = host.observe()
        assert serving in self.may_end_on
        assert serving == self.shop.current()
        assert served(host) == {self._version_of(serving)}
        assert linked(host) == serving
        assert running(host) == ({serving} if serving else set())
        assert ledger.rollouts.unfinished() == []
        # Whoever wanted to be rid of a release does not get it back.
        history = ledger.rollouts.history(self.shop.environment)
        assert {one.status for one in history if one.kind == "rollback"} <= {
            "committed"
        }
        assert ledger.leases.held() == []
        assert not (host.root / "half").exists()
        ledger.audit.verify()

    def _version_of(self, digest: str | None) -> str | None:
        found = {
            release.digest: release for release in (self.before, self.after) if release
        }
        return found[digest].variables["version"] if digest else None


def make_scenario(name: Name, shop: Shop) -> Scenario:
    one, two = shop.release("one"), shop.release("two")
    canary = Canary(canary=[CanaryStep(percent=30)])
    host = shop.host(strategy=canary)
    for release in {"first": [], "rollback": [one, two]}.get(name, [one]):
        Scenario("upgrade", shop, host, None, release, set()).roll_out()
    before: Release | None = one
    after = two
    may_end_on: set[str | None] = {one.digest, two.digest}
    if name == "first":
        before, after, may_end_on = None, one, {one.digest, None}
    if name == "rollback":
        before, after, may_end_on = two, one, {one.digest, two.digest}
    if name == "failing":
        never = HttpCheck(url="/", contains="never", attempts=1)
        host = host.model_copy(update={"checks": [never], "strategy": "all-at-once"})
        may_end_on = {one.digest}
    return Scenario(name, shop, host, before, after, may_end_on)


def served(host: HostEnvironment) -> set[str | None]:
    """What twelve customers get; None stands for nothing."""
    answers: set[str | None] = set()
    for _ in range(12):
        try:
            answers.add(ask(host))
        except OSError:
            answers.add(None)
    return answers


def linked(host: HostEnvironment) -> str | None:
    link = host.root / "current"
    return link.readlink().name if link.is_symlink() else None


def running(host: HostEnvironment) -> set[str]:
    """Digests of the releases that any process runs for."""
    services = processes_of(host.root / "services")
    return {found.split("/services/")[1][:64] for found in services}
