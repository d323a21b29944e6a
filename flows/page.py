"""What Prefect shows of an execution: the run's name and tags, and a markdown page."""

import asyncio
import re
from collections.abc import Callable
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import FlowRun
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.exceptions import PrefectException

from prefect_delivery.engine.state import Execution
from prefect_delivery.stage_view import stage_page

EVERY = 1.0
"""Seconds between two updates at the least: Prefect's SQLite takes one writer."""
AGAIN = 10.0
"""Seconds until Prefect is told again after it could not be."""
LAST = 10.0
"""Seconds that the last update may take."""


class Page:
    """Shows the newest state of an execution, off the critical path.

    It is a view: a deployment neither waits for Prefect's server nor fails with it.
    """

    def __init__(
        self,
        client: PrefectClient,
        execution: Execution,
        flow_run: FlowRun,
        notice: Callable[[str], None],
    ) -> None:
        self._client = client
        self._newest = execution
        self._flow_run = flow_run
        self._notice = notice
        self._is_silent = False
        self._named = False
        self._id: UUID | None = None
        self._changed = asyncio.Event()
        self._changed.set()
        self._one_at_a_time = asyncio.Lock()
        self._task = asyncio.create_task(self._publish())

    def show(self, execution: Execution) -> None:
        self._newest = execution
        self._changed.set()

    async def close(self) -> bool:
        """Publish the last state, also when this process was told to end.

        Returns:
            Whether Prefect's server took it.
        """
        try:
            async with asyncio.timeout(LAST):
                await self._put()
            return True
        except (TimeoutError, PrefectException, HTTPError) as error:
            self._complain(error)
            return False
        finally:
            self._task.cancel()

    async def _publish(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._put()
                self._is_silent = False
            except (PrefectException, HTTPError) as error:
                self._complain(error)
                self._changed.set()
                await asyncio.sleep(AGAIN)
            await asyncio.sleep(EVERY)

    async def _put(self) -> None:
        async with self._one_at_a_time:
            if not self._named:
                await self._name()
                self._named = True
            if self._id is None:
                self._id = (await self._client.create_artifact(self._first())).id
                return
            page = ArtifactUpdate(data=stage_page(self._newest))
            await self._client.update_artifact(self._id, page)

    async def _name(self) -> None:
        """Show the run as `shop #42`, found by its tags."""
        shown = self._newest
        tags = {*self._flow_run.tags, f"pipeline:{shown.pipeline}", "delivery"}
        await self._client.update_flow_run(
            self._flow_run.id, name=shown.title, tags=sorted(tags)
        )

    def _first(self) -> ArtifactCreate:
        slug = re.sub(r"[^a-z0-9]+", "-", self._newest.pipeline.lower()).strip("-")
        return ArtifactCreate(
            key=f"delivery-{slug}",
            type="markdown",
            description=self._newest.title,
            data=stage_page(self._newest),
            flow_run_id=self._flow_run.id,
        )

    def _complain(self, error: Exception) -> None:
        if not self._is_silent:
            said = str(error) or f"no answer within {LAST:g} s"
            self._notice(
                f"Prefect's server does not answer, which stops nothing: {said}"
            )
        self._is_silent = True
