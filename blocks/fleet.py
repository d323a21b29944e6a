"""Releases on many hosts, a few at a time, as an appspec says."""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prefect_delivery.blocks.environment import Environment
from prefect_delivery.blocks.fleet_bundle import bundled
from prefect_delivery.blocks.fleet_hosts import FleetHost, HostGone, State
from prefect_delivery.blocks.fleet_rolling import (
    HostView,
    MinimumHealthy,
    Predefined,
    has_succeeded,
    least,
    next_batch,
)
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Release
from prefect_delivery.process import clean_environment, run_process

__all__ = ["Balancer", "FleetEnvironment", "FleetHost", "MinimumHealthy"]

PARALLEL = 20
"""Hosts that are worked on at the same time, at most."""
BEFORE_BLOCK = ("BeforeBlockTraffic",)
IN_PLACE = (
    *("ApplicationStop", "BeforeInstall", "Install", "AfterInstall"),
    *("ApplicationStart", "ValidateService"),
)
BLOCKED = ("AfterBlockTraffic", *IN_PLACE, "BeforeAllowTraffic")
AFTER_ALLOW = ("AfterAllowTraffic",)

_logger = logging.getLogger(__name__)


class Balancer(BaseModel):
    """Takes a host out of the traffic and puts it back.

    Each command is a list of arguments, run on the machine that deploys; it finds
    HOST_NAME and HOST_ADDRESS in its environment.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    block: list[str] = Field(min_length=1, description="Ends the host's traffic.")
    allow: list[str] = Field(min_length=1, description="Gives it traffic again.")
    timeout: float = Field(default=300, gt=0, description="Seconds that each may take.")


class FleetEnvironment(Environment):
    """Run releases on many hosts, deployed to in place and a few at a time.

    Each release brings an `appspec.yml` of AWS CodeDeploy, which says where its files go
    and which scripts run when. A host's own file says which release it runs.

    Example:
        Save an environment, and load it again:
        ```python
        from prefect_delivery.blocks.fleet import FleetEnvironment

        made = FleetEnvironment(hosts=[{"name": "web1", "address": "web1.example"}])
        made.save("shop-fleet", overwrite=True)
        environment = FleetEnvironment.load("shop-fleet")
        ```
    """

    _block_type_name = "Delivery Fleet Environment"
    _block_type_slug = "delivery-fleet-environment"
    _description = "Run releases on many hosts, a few at a time, by their appspec."

    hosts: list[FleetHost] = Field(min_length=1, description="Hosts of the fleet.")
    root: str = Field(
        default="/var/lib/prefect-delivery/fleet",
        pattern="^/",
        description="Folder on each host for revisions and what is known of them.",
    )
    minimum_healthy: Predefined | MinimumHealthy = Field(
        default="OneAtATime",
        description="How many hosts must stay healthy: OneAtATime, HalfAtATime,"
        " AllAtOnce, or a number or percentage of one's own.",
    )
    appspec: str = Field(
        default="appspec.yml", description="Path of the appspec in the artifact."
    )
    file_exists_behavior: Literal["DISALLOW", "OVERWRITE", "RETAIN"] = Field(
        default="DISALLOW",
        description="What happens to files that are there already and that no release"
        " has installed; the appspec's own choice wins.",
    )
    ignore_stop_failures: bool = Field(
        default=False, description="Whether to go on when ApplicationStop fails."
    )
    balancer: Balancer | None = Field(
        default=None, description="Commands that end and begin a host's traffic."
    )
    group: str | None = Field(
        default=None,
        description="What scripts find as DEPLOYMENT_GROUP_NAME; the environment's"
        " name otherwise.",
    )

    @model_validator(mode="after")
    def _is_deployable(self) -> "FleetEnvironment":
        names = [host.name for host in self.hosts]
        if len(set(names)) < len(names):
            raise ValueError("two hosts have the same name")
        places = [(host.address, host.port, self._root(host)) for host in self.hosts]
        if len(set(places)) < len(places):
            raise ValueError("two hosts are the same folder; give one a 'root'")
        rule = self.minimum_healthy
        if isinstance(rule, MinimumHealthy) and rule.type == "HOST_COUNT":
            if rule.value >= len(names):
                raise ValueError(
                    f"minimum_healthy: {rule.value} of {len(names)} hosts leaves none"
                    " to deploy to"
                )
        elif isinstance(rule, MinimumHealthy) and rule.value > 100:
            raise ValueError("minimum_healthy: more than 100 percent")
        return self

    @property
    def identity(self) -> str:
        """What tells the target from others of its kind, whatever else is configured."""
        places = sorted(
            f"{host.address or ''}:{host.port}{self._root(host)}" for host in self.hosts
        )
        return f"fleet:{','.join(places)}"

    def observe(self) -> str | None:
        """Digest of the release that all hosts which answer run; None if they differ,
        or one of them has a deployment that did not succeed.
        """
        views = [each for each in self._look() if each.state != "gone"]
        running = {each.current for each in views}
        if len(running) != 1 or any(each.state == "failed" for each in views):
            return None
        return running.pop()

    def prepare(self, release: Release, fence: int) -> None:
        """Bring the release's files to the hosts, where nothing uses them yet.

        Raises:
            ActionFailed: Too many hosts cannot take them, or there is no appspec.
            ArtifactError: The artifact is missing or damaged.
            DefinitionError: The appspec is written wrongly.
            LeaseLost: A host has seen a higher fencing token.
        """
        with bundled(release, self.appspec) as bundle:

            def bring(host: FleetHost) -> State:
                request = self._request(host, "bring", release, fence)
                request["appspec"] = bundle.appspec
                return host.ask(request, _logger.info, bundle.tar)

            failures = self._each(self.hosts, bring)
        needed = max(1, least(self.minimum_healthy, len(self.hosts)))
        if failures and _was_good(self._look(), release):
            needed = 1
        if len(self.hosts) - len(failures) < needed:
            raise ActionFailed(f"too few hosts take the release:{_shown(failures)}")

    def shift(self, release: Release, percent: float, fence: int) -> None:
        """Go through the lifecycle of the release, on a few hosts at a time.

        Hosts that run it already are left alone, so that the way back touches only those
        that were touched on the way there.

        Raises:
            ActionFailed: Too few hosts stayed healthy; says what became of each.
            LeaseLost: A host has seen a higher fencing token.
        """
        minimum = least(self.minimum_healthy, len(self.hosts))
        by_name = {host.name: host for host in self.hosts}
        fleet = self._look()
        back = _was_good(fleet, release)
        done: set[str] = set()
        failures: dict[str, str] = {}
        while True:
            batch = next_batch(fleet, release.digest, minimum, back=back, done=done)
            if not batch:
                break
            _logger.info("deploying to %s", ", ".join(batch))
            failures |= self._each(
                [by_name[name] for name in batch],
                lambda host: self._deploy(host, release, fence),
            )
            done |= set(batch)
            fleet = self._look()
        report = _report(fleet, release.digest, done, failures)
        if not has_succeeded(fleet, release.digest, minimum, back=back):
            raise ActionFailed(
                f"fewer than {max(1, minimum)} healthy hosts would run it:{report}"
            )
        if failures:
            _logger.warning("some hosts failed:%s", report)

    def commit(self, release: Release, fence: int) -> None:
        """Remove old revisions; hosts that do not answer do it the next time.

        Raises:
            ActionFailed: A host that answers cannot do it.
            LeaseLost: A host has seen a higher fencing token.
        """
        self._all("tidy", release, fence)

    def discard(self, release: Release, fence: int) -> None:
        """Remove what the release has installed, and its revision.

        Raises:
            ActionFailed: A host that answers cannot do it.
            LeaseLost: A host has seen a higher fencing token.
        """
        self._all("discard", release, fence)

    def _all(self, verb: str, release: Release, fence: int) -> None:
        def do(host: FleetHost) -> State:
            try:
                request = self._request(host, verb, release, fence)
                return host.ask(request, _logger.info)
            except HostGone as gone:
                _logger.warning("%s", gone.message)
                return {}

        if failures := self._each(self.hosts, do):
            raise ActionFailed(f"{verb} failed:{_shown(failures)}")

    def _deploy(self, host: FleetHost, release: Release, fence: int) -> State:
        request = self._request(host, "deploy", release, fence)

        def run(events: Iterable[str], *, last: bool = False) -> State:
            again = {**request, "events": list(events), "last": last}
            return host.ask(again, _logger.info)

        if self.balancer is None:
            return run(IN_PLACE, last=True)
        run(BEFORE_BLOCK)
        self._switch(self.balancer.block, host)
        run(BLOCKED)
        self._switch(self.balancer.allow, host)
        return run(AFTER_ALLOW, last=True)

    def _switch(self, command: list[str], host: FleetHost) -> None:
        assert self.balancer  # noqa: S101, for the type checker
        facts = {"HOST_NAME": host.name, "HOST_ADDRESS": host.address or "127.0.0.1"}
        run_process(
            command,
            cwd=Path("/"),
            env=clean_environment(facts),
            on_line=_logger.info,
            timeout=self.balancer.timeout,
        )

    def _request(
        self, host: FleetHost, verb: str, release: Release, fence: int
    ) -> dict[str, Any]:
        deployment = f"d-{fence}-{release.digest[:12]}"
        group = self.group or self._block_document_name or self.kind
        return {
            "do": verb,
            "root": self._root(host),
            "fence": fence,
            "digest": release.digest,
            "exists": self.file_exists_behavior,
            "ignore_stop": self.ignore_stop_failures,
            "keep": self.keep,
            "log": f"{deployment}.log",
            "variables": {
                "APPLICATION_NAME": release.pipeline,
                "DEPLOYMENT_ID": deployment,
                "DEPLOYMENT_GROUP_NAME": group,
                "DEPLOYMENT_GROUP_ID": group,
                "BUNDLE_COMMIT": next(iter(release.revisions.values()), ""),
            },
        }

    def _root(self, host: FleetHost) -> str:
        return host.root or self.root

    def _look(self) -> list[HostView]:
        states: dict[str, State] = {}

        def look(host: FleetHost) -> State:
            request = {"do": "look", "root": self._root(host)}
            states[host.name] = host.ask(request, _logger.info)
            return states[host.name]

        self._each(self.hosts, look)
        return [_view(host.name, states.get(host.name)) for host in self.hosts]

    def _each(
        self, hosts: list[FleetHost], do: Callable[[FleetHost], State]
    ) -> dict[str, str]:
        """Do something with hosts side by side; says why it failed, by host."""
        failures = {}
        with ThreadPoolExecutor(min(PARALLEL, len(hosts))) as pool:
            waiting = {host.name: pool.submit(do, host) for host in hosts}
        for name, future in waiting.items():
            try:
                future.result()
            except ActionFailed as error:
                failures[name] = error.message
        return failures


def _was_good(fleet: list[HostView], release: Release) -> bool:
    """Whether it was committed here before: then this is the way back."""
    return any(release.digest in view.good for view in fleet)


def _view(name: str, state: State | None) -> HostView:
    if state is None:
        return HostView(name=name, state="gone")
    return HostView(
        name=name,
        state="failed" if state["deploying"] else "healthy",
        current=state["current"],
        good=frozenset(state["good"]),
    )


def _report(
    fleet: list[HostView], digest: str, done: set[str], failures: dict[str, str]
) -> str:
    """What became of each host, a line for each."""
    told = {}
    for host in fleet:
        if host.name in failures:
            told[host.name] = failures[host.name]
        elif host.state == "gone":
            told[host.name] = "does not answer"
        elif host.state == "failed":
            told[host.name] = "needs a deployment"
        elif host.current == digest:
            told[host.name] = "deployed" if host.name in done else "runs it already"
        else:
            told[host.name] = "not touched"
    return _shown(told)


def _shown(told: dict[str, str]) -> str:
    return "".join(f"\n  {name}: {text}" for name, text in told.items())
