"""The deployments that Prefect has: read, apply, remove."""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import prefect
from httpx import HTTPStatusError
from prefect.client.base import ServerType
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from prefect_delivery.definition.findings import meant
from prefect_delivery.deployments.automations import remove_automations
from prefect_delivery.deployments.definitions import (
    FLOW,
    Settings,
    event_triggers,
    events_of,
    found_settings,
    parameters_of,
    schedules_of,
)
from prefect_delivery.errors import Refused
from prefect_delivery.flows.elsewhere import why_nothing_starts

POOL_TYPE = "delivery"


@dataclass
class Live:
    """Deployments on the Prefect server that is configured."""

    client: SyncPrefectClient

    def read(self, pipeline: str) -> Settings | None:
        """How a pipeline is deployed, as Prefect has it; None when it is not."""
        found = self._find(pipeline)
        if found is None:
            return None
        related = self.client.read_resource_related_automations(_resource(found.id))
        return found_settings(found, events_of([each.trigger for each in related]))

    def apply(self, pipeline: str, settings: Settings) -> UUID:
        """Create or change a pipeline's deployment; runs that go on are left alone.

        Raises:
            Refused: Prefect takes it not; says why.
        """
        try:
            return self._apply(pipeline, settings)
        except HTTPStatusError as error:
            raise Refused(
                f"Prefect does not take the deployment of {pipeline}: {_said(error)}",
                hint="deliver validate",
            ) from error

    def remove(self, pipeline: str) -> None:
        """Remove a pipeline's deployment, its schedules and automations."""
        if found := self._find(pipeline):
            self.client.delete_resource_owned_automations(_resource(found.id))
            remove_automations(self.client, pipeline)
            self.client.delete_deployment(found.id)

    def need_pool(self, pool: str) -> str | None:
        """Create a work pool when it is missing; what a person should know of it."""
        try:
            self.client.read_work_pool(pool)
        except ObjectNotFound:
            self.client.create_work_pool(WorkPoolCreate(name=pool, type=POOL_TYPE))
        workers = self.client.read_workers_for_work_pool(pool)
        if any(worker.status == WorkerStatus.ONLINE for worker in workers):
            return None
        return f"no worker serves the pool '{pool}': nothing runs until one is started"

    def check_job_variables(self, pool: str, given: Collection[str]) -> None:
        """Check that a pool's template knows job variables; Prefect checks the values.

        Raises:
            Refused: It does not know one, and would leave it out without a word.
        """
        try:
            template = self.client.read_work_pool(pool).base_job_template
        except ObjectNotFound:
            return  # it will be made, and takes what a process does
        if not template:
            return  # its first worker brings one
        known = template.get("variables", {}).get("properties", {})
        # `env.NAME` is a variable of the job variable `env`.
        for name in given:
            if name.partition(".")[0] not in known:
                raise Refused(
                    f"the work pool '{pool}' has no job variable '{name}'"
                    + meant(name, known),
                    hint=f"it has: {', '.join(sorted(known))}",
                )

    def check_pools(self, pools: Collection[str]) -> list[str]:
        """Check the pools of actions; what a person should know of them.

        Raises:
            Refused: There is no such pool.
        """
        for pool in pools:
            try:
                self.client.read_work_pool(pool)
            except ObjectNotFound:
                raise Refused(
                    f"Prefect has no work pool '{pool}', on which an action runs",
                    hint=f"prefect work-pool create {pool} --type docker",
                ) from None
        found = [why_nothing_starts(self.client, pool) for pool in pools]
        return [reason for reason in found if reason]

    def other_version(self) -> str | None:
        """What a person should know of the server's version, if anything.

        Raises:
            Refused: It is of another major version, with which nothing would work.
        """
        if self.client.server_type is ServerType.CLOUD:
            return None  # has all that any client uses
        theirs, ours = self.client.api_version(), prefect.__version__
        if theirs.split(".")[0] != ours.split(".")[0]:
            raise Refused(
                f"the server at {self.client.api_url} runs Prefect {theirs},"
                f" and here is {ours}: their major versions must be the same",
                hint="set PREFECT_API_URL to another server, or upgrade that one",
            )
        if theirs.split(".")[:2] == ours.split(".")[:2]:
            return None
        return (
            f"the server runs Prefect {theirs}, and here is {ours}:"
            " deploy with the version that the server and its workers have"
        )

    def _find(self, pipeline: str) -> DeploymentResponse | None:
        try:
            return self.client.read_deployment_by_name(f"{FLOW}/{pipeline}")
        except ObjectNotFound:
            return None

    def _apply(self, pipeline: str, settings: Settings) -> UUID:
        made = self.client.create_deployment(
            flow_id=self.client.create_flow_from_name(FLOW),
            name=pipeline,
            version=settings["version"],
            description=settings["description"],
            entrypoint=settings["entrypoint"],
            parameters=parameters_of(settings),
            parameter_openapi_schema=settings["form"],
            enforce_parameter_schema=True,
            schedules=schedules_of(settings),
            tags=settings["tags"],
            work_pool_name=settings["work_pool"],
            work_queue_name=settings["work_queue"],
            job_variables=settings["job_variables"],
            concurrency_limit=settings["concurrency_limit"],
            # The flow is in a package: nothing is pulled, and nothing is copied.
            path=None,
            pull_steps=[],
        )
        self.client.delete_resource_owned_automations(_resource(made))
        for trigger in event_triggers(pipeline, settings):
            trigger.set_deployment_id(made)
            self.client.create_automation(trigger.as_automation())
        return made


@contextmanager
def live() -> Iterator[Live]:
    """The deployments on the Prefect server that is configured."""
    with get_client(sync_client=True) as client:
        yield Live(client)


def _resource(deployment: UUID) -> str:
    return f"prefect.deployment.{deployment}"


def _said(error: HTTPStatusError) -> str:
    try:
        detail = error.response.json().get("detail")
    except (json.JSONDecodeError, AttributeError):
        detail = None
    return str(detail or error).partition("\n")[0]
