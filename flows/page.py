"""The execution's page in Prefect: one markdown artifact, updated in place."""

import asyncio
import re

from httpx import HTTPError
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from prefect_delivery.actions import run_logger
from prefect_delivery.engine.state import Execution
from prefect_delivery.stage_view import stage_page

EVERY = 1.0
"""Seconds between two updates at the least: Prefect's SQLite takes one writer."""


class Page:
    """Shows the newest state of an execution, off the critical path."""

    def __init__(self, client: PrefectClient, execution: Execution) -> None:
        self._client = client
        self._newest = execution
        self._dirty = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._publish())

    def show(self, execution: Execution) -> None:
        self._newest = execution
        self._dirty.set()

    async def close(self) -> None:
        """Publish the last state, and say so in the log where that fails."""
        self._closing = True
        self._dirty.set()
        await self._task

    async def _publish(self) -> None:
        try:
            created = await self._client.create_artifact(self._first())
            while not self._closing:
                await self._dirty.wait()
                self._dirty.clear()
                page = ArtifactUpdate(data=stage_page(self._newest))
                await self._client.update_artifact(created.id, page)
                if not self._closing:
                    await asyncio.sleep(EVERY)
        except (PrefectException, HTTPError) as error:
            # The page is a view: a deployment does not fail with its server.
            run_logger().warning("no page for this execution: %s", error)

    def _first(self) -> ArtifactCreate:
        context = FlowRunContext.get()
        run = context.flow_run if context else None
        slug = re.sub(r"[^a-z0-9]+", "-", self._newest.pipeline.lower()).strip("-")
        return ArtifactCreate(
            key=f"delivery-{slug}",
            type="markdown",
            description=self._newest.title,
            data=stage_page(self._newest),
            flow_run_id=run.id if run else None,
        )
