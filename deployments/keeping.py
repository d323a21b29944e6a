"""Deployments that Prefect runs again and again, beside the pipelines themselves."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import (
    ConcurrencyLimitStrategy,
    ConcurrencyOptions,
)
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import ObjectNotFound

from prefect_delivery.deployments.definitions import TAG

NAME: Final = "delivery"
CANCEL_NEW: Final = ConcurrencyLimitStrategy.CANCEL_NEW


@dataclass(frozen=True)
class Round:
    """A flow of ours that is run again and again."""

    flow: str
    description: str

    @property
    def deployment(self) -> str:
        """What Prefect calls its deployment."""
        return f"{self.flow}/{NAME}"


WATCH: Final = Round(
    "watch", "Looks at the sources of deployed pipelines, for lost webhooks."
)
RECONCILE: Final = Round(
    "reconcile", "Carries on what waits, takes over what has lost its process."
)


def keep(
    client: SyncPrefectClient,
    what: Round,
    *,
    pool: str,
    every: float,
    job_variables: dict[str, Any],
) -> bool:
    """Deploy a flow to be run again and again, unless that is done already.

    Args:
        every: Seconds from one run to the next.
        job_variables: Those of the pipelines, which may say where the ledger is.

    Returns:
        Whether something was changed.
    """
    interval = timedelta(seconds=every)
    try:
        found = client.read_deployment_by_name(what.deployment)
        times = [getattr(each.schedule, "interval", None) for each in found.schedules]
        there = (found.work_pool_name, found.job_variables, times)
        if there == (pool, job_variables, [interval]):
            return False
    except ObjectNotFound:
        pass
    client.create_deployment(
        flow_id=client.create_flow_from_name(what.flow),
        name=NAME,
        description=what.description,
        entrypoint=f"prefect_delivery.flows.{what.flow}.{what.flow}",
        schedules=[
            DeploymentScheduleCreate(
                schedule=IntervalSchedule(interval=interval),
                active=True,
                slug=what.flow,
                max_scheduled_runs=2,
            )
        ],
        # A run that finds the last one still at work is left out.
        concurrency_limit=1,
        concurrency_options=ConcurrencyOptions(collision_strategy=CANCEL_NEW),
        tags=[TAG],
        work_pool_name=pool,
        job_variables=job_variables,
        parameter_openapi_schema={"type": "object", "properties": {}},
        path=None,
        pull_steps=[],
    )
    return True
