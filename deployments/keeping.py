"""Deployments that Prefect runs again and again, beside the pipelines themselves."""

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
WATCH: Final = "watch"
CANCEL_NEW: Final = ConcurrencyLimitStrategy.CANCEL_NEW


def keep_watching(
    client: SyncPrefectClient,
    *,
    pool: str,
    every: float,
    job_variables: dict[str, Any],
) -> bool:
    """Deploy the flow that looks at sources, unless that is done already.

    Returns:
        Whether something was changed.
    """
    interval = timedelta(seconds=every)
    try:
        found = client.read_deployment_by_name(f"{WATCH}/{NAME}")
        times = [getattr(each.schedule, "interval", None) for each in found.schedules]
        there = (found.work_pool_name, found.job_variables, times)
        if there == (pool, job_variables, [interval]):
            return False
    except ObjectNotFound:
        pass
    client.create_deployment(
        flow_id=client.create_flow_from_name(WATCH),
        name=NAME,
        description="Looks at the sources of deployed pipelines, for lost webhooks.",
        entrypoint="prefect_delivery.flows.watch.watch",
        schedules=[
            DeploymentScheduleCreate(
                schedule=IntervalSchedule(interval=interval),
                active=True,
                slug=WATCH,
                max_scheduled_runs=2,
            )
        ],
        # A look that finds the last one still at work is left out.
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
