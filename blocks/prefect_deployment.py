"""Releases of Prefect flows, as deployments on the Prefect server."""

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from prefect_delivery.blocks.environment import Environment
from prefect_delivery.blocks.flow_records import FlowRecords, Flows, read_flows
from prefect_delivery.blocks.host_fence import Fence
from prefect_delivery.blocks.host_releases import Releases
from prefect_delivery.blocks.prefect_server import prefect_server
from prefect_delivery.definition.models import Schedule
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Release

__all__ = ["DeployedFlow", "PrefectDeploymentEnvironment"]

PULL = "prefect.deployments.steps.set_working_directory"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class DeployedFlow(BaseModel):
    """How one flow is deployed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entrypoint: str = Field(
        pattern=r"^[^:/][^:]*\.py:\w+$",
        description="File in the release and function, such as `flows.py:orders`.",
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Parameters that its runs have by default."
    )
    schedules: list[Schedule] = Field(
        default_factory=list, description="Times at which it runs."
    )


class PrefectDeploymentEnvironment(Environment):
    """Run releases of Prefect flows, each flow as a deployment of one name.

    A release is unpacked into `releases/<digest>` below the root, which the workers of
    the pool must see under the same path. Its deployments lead there, so an older
    release runs its older code. A run that has begun stays with the code it began with.

    Example:
        Save an environment, and load it again:
        ```python
        from prefect_delivery.blocks.prefect_deployment import (
            PrefectDeploymentEnvironment,
        )

        made = PrefectDeploymentEnvironment(
            root="/srv/flows",
            deployment="production",
            pool="production",
            flows={"orders": {"entrypoint": "flows.py:orders"}},
        )
        made.save("shop-flows", overwrite=True)
        environment = PrefectDeploymentEnvironment.load("shop-flows")
        ```
    """

    _block_type_name = "Delivery Prefect Deployment Environment"
    _block_type_slug = "delivery-prefect-deployment-environment"
    _description = "Run releases of Prefect flows, as deployments in a work pool."

    root: Annotated[Path, AfterValidator(Path.absolute)] = Field(
        description="Folder of the releases, seen by the workers; created when missing."
    )
    deployment: str = Field(
        min_length=1,
        pattern=r"^[^/]+$",
        description="Name of each flow's deployment, such as `production`.",
    )
    pool: str = Field(description="Work pool of the deployments, which exists.")
    queue: str = Field(default="default", description="Work queue in the pool.")
    flows: dict[str, DeployedFlow] = Field(
        min_length=1, description="Flows by the names that they have in the code."
    )
    tags: list[str] = Field(
        default_factory=list, description="Tags of the deployments and their runs."
    )
    job_variables: dict[str, Any] = Field(
        default_factory=dict, description="What the runs change in the pool's template."
    )

    @property
    def identity(self) -> str:
        """What tells the target from others of its kind, whatever else is configured."""
        return f"{self.kind}:{self.root}"

    def folder_of(self, release: Release) -> Path:
        """Folder of the release on this machine; hooks run in it."""
        return self._releases.folder(release.digest)

    def observe(self) -> str | None:
        """Digest of the release that all deployments lead to, and no other.

        Raises:
            ActionFailed: Prefect does not answer.
        """
        with prefect_server() as client:
            found = {name: self._find(client, name) for name in self.flows}
        digests = {digest for each in found.values() if (digest := _led_to(each))}
        if len(digests) != 1:
            return None
        (digest,) = digests
        flows = self._records.read(digest)
        if flows is None or not self._releases.folder(digest).is_dir():
            return None
        whole = all(
            (made := found[name]) is not None
            and made.entrypoint == flows[name]["entrypoint"]
            and _led_to(made) == digest
            for name in self.flows
            if name in flows
        )
        return digest if whole else None

    def prepare(self, release: Release, fence: int) -> None:
        """Unpack the release and read its flows; no deployment changes.

        Raises:
            ActionFailed: The release lacks a flow, the pool is missing, or a deployment
                is there that did not come from here.
            ArtifactError: The artifact is missing or damaged.
            LeaseLost: The root has seen a higher fencing token.
        """
        with self._fenced(fence):
            pass  # refuse before the long work, not only after it
        self._check_server()
        self._releases.unpack(release, self._fenced(fence))
        known = self._records.read(release.digest)
        unread = {
            name: flow.entrypoint
            for name, flow in self.flows.items()
            if (known or {}).get(name, {}).get("entrypoint") != flow.entrypoint
        }
        if not unread:
            return
        try:
            read = read_flows(self.folder_of(release), unread)
        except ActionFailed:
            # An earlier release need not have what was added to the environment since.
            if known is None:
                raise
            return
        with self._fenced(fence):
            self._records.write(release.digest, {**(known or {}), **read})

    def shift(self, release: Release, percent: float, fence: int) -> None:
        """Let the deployments lead to the release, one after the other.

        Raises:
            ActionFailed: It was not prepared, or Prefect refuses a deployment.
            LeaseLost: The root has seen a higher fencing token.
        """
        flows = self._records.read(release.digest)
        if flows is None:
            raise ActionFailed(f"{self.root} has no release {release.digest[:12]}")
        for name in self.flows:
            with self._fenced(fence), prefect_server() as client:
                found = self._find(client, name)
                if name in flows:
                    self._apply(client, name, release.digest, flows)
                elif found and _led_to(found):
                    client.delete_deployment(found.id)

    def commit(self, release: Release, fence: int) -> None:
        """Make sure that all deployments lead to the release; remove old releases.

        Raises:
            ActionFailed: Prefect refuses a deployment.
            LeaseLost: The root has seen a higher fencing token.
        """
        if self.observe() != release.digest:
            self.shift(release, 100, fence)
        with self._fenced(fence):
            self._releases.make_current(release.digest)
            self._releases.tidy(self.keep)
            self._records.tidy(self._releases.unpacked())

    def discard(self, release: Release, fence: int) -> None:
        """Remove the release, and the deployments that still lead to it.

        Raises:
            LeaseLost: The root has seen a higher fencing token.
        """
        with self._fenced(fence), prefect_server() as client:
            for name in self.flows:
                found = self._find(client, name)
                if found and _led_to(found) == release.digest:
                    client.delete_deployment(found.id)
            self._releases.remove(release.digest)
            self._records.tidy(self._releases.unpacked())

    def _check_server(self) -> None:
        with prefect_server() as client:
            try:
                client.read_work_pool(self.pool)
            except ObjectNotFound as error:
                raise ActionFailed(
                    f"there is no work pool '{self.pool}'",
                    hint=f"prefect work-pool create {self.pool} --type process",
                ) from error
            for name in self.flows:
                found = self._find(client, name)
                if found and not _led_to(found):
                    full = self._full_name(name)
                    raise ActionFailed(
                        f"deployment '{full}' is there and was not made here",
                        hint=f"prefect deployment delete {full}, or use another name",
                    )

    def _find(self, client: SyncPrefectClient, flow: str) -> DeploymentResponse | None:
        try:
            return client.read_deployment_by_name(self._full_name(flow))
        except ObjectNotFound:
            return None

    def _apply(
        self, client: SyncPrefectClient, name: str, digest: str, flows: Flows
    ) -> None:
        """Create or change a deployment, in one step."""
        configured, flow = self.flows[name], flows[name]
        client.create_deployment(
            flow_id=client.create_flow_from_name(name),
            name=self.deployment,
            version=_version(digest),
            description=flow["description"],
            entrypoint=flow["entrypoint"],
            pull_steps=[{PULL: {"directory": str(self._releases.folder(digest))}}],
            parameters=configured.parameters,
            parameter_openapi_schema=flow["schema"],
            enforce_parameter_schema=True,
            schedules=[_scheduled(each) for each in configured.schedules],
            tags=self.tags,
            work_pool_name=self.pool,
            work_queue_name=self.queue,
            job_variables=self.job_variables,
        )

    def _full_name(self, flow: str) -> str:
        return f"{flow}/{self.deployment}"

    def _fenced(self, token: int) -> AbstractContextManager[None]:
        return Fence(self.root).held(token)

    @property
    def _releases(self) -> Releases:
        return Releases(self.root)

    @property
    def _records(self) -> FlowRecords:
        return FlowRecords(self.root)


def _led_to(deployment: DeploymentResponse | None) -> str | None:
    """Digest of the release that a deployment runs; None for one of somebody else's."""
    steps = deployment.pull_steps if deployment else None
    if not deployment or not steps or len(steps) != 1 or PULL not in steps[0]:
        return None
    digest = Path(steps[0][PULL].get("directory", "")).name
    ours = _DIGEST.fullmatch(digest) and deployment.version == _version(digest)
    return digest if ours else None


def _version(digest: str) -> str:
    return digest[:12]


def _scheduled(schedule: Schedule) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(
        schedule=CronSchedule(cron=schedule.cron, timezone=schedule.timezone),
        active=True,
        slug=schedule.slug,
    )
