"""The deployment that sets right each minute what dead processes left."""

from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound

FLOW: Final = "reconcile"
NAME: Final = "prefect-delivery"
ENTRYPOINT: Final = "prefect_delivery.flows.reconcile.reconcile"
EACH_MINUTE: Final = "* * * * *"


def keep_house(client: SyncPrefectClient, pool: str) -> None:
    """Have the workers of a pool reconcile each minute.

    Where it is deployed already, to whatever pool, nothing changes.
    """
    try:
        client.read_deployment_by_name(f"{FLOW}/{NAME}")
    except ObjectNotFound:
        _deploy(client, pool)


def _deploy(client: SyncPrefectClient, pool: str) -> None:
    client.create_deployment(
        flow_id=client.create_flow_from_name(FLOW),
        name=NAME,
        description="Carries on what waits, takes over what has lost its process.",
        entrypoint=ENTRYPOINT,
        schedules=[
            DeploymentScheduleCreate(
                schedule=CronSchedule(cron=EACH_MINUTE, timezone="UTC"),
                active=True,
                slug="each-minute",
                max_scheduled_runs=2,
            )
        ],
        tags=["delivery"],
        work_pool_name=pool,
        path=None,
        pull_steps=[],
    )
