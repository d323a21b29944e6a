"""Where a build is made: its programs, its built-in variables, its cache, its log."""

import os
import re
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.containers import failure_of_container
from prefect_delivery.lines import MIB
from prefect_delivery.process import clean_environment, failure_of_process
from prefect_delivery.tasks.build.buildspec_cache import Cache
from prefect_delivery.tasks.build.buildspec_order import Order


class Site:
    """Where a build is made, and who hears of it."""

    def __init__(self, order: Order, job: Job, cancelled: Event) -> None:
        self._order = order
        self._job = job
        self._cancelled = cancelled
        own = order.batch.identifier if order.batch else ""
        prefix = f"[{own}] " if own else ""
        # Builds of a batch run at the same time, each in a container of its own.
        self._key = f"{job.key}:{own}" if job.key and own else job.key
        self._log: Callable[[str], None] = lambda line: job.log(prefix + line)

    @property
    def stopped(self) -> bool:
        return self._cancelled.is_set()

    def check_stopped(self) -> None:
        """Go no further once the action is stopped."""
        if self._job.cancelled.is_set():
            raise ActionFailed(self._job.reason)

    @property
    def log(self) -> Callable[[str], None]:
        return self._log

    def perform(
        self,
        program: Path,
        place: Path,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        mask: Callable[[str], str],
    ) -> str | None:
        """Run a program of ours in the workspace; how it failed, if it did."""
        order = self._order
        timeout = max(0.1, order.deadline - time.monotonic())
        memory = order.memory * MIB if order.memory else None
        argv = ["/bin/sh", str(program)]
        if order.image is None:
            return failure_of_process(
                argv,
                cwd=place / "source",
                env=clean_environment(environment),
                on_line=on_line,
                timeout=timeout,
                memory=memory,
                cancelled=self._cancelled,
                mask=mask,
            )
        return failure_of_container(
            argv,
            image=order.image,
            folder=place,
            cwd=place / "source",
            env={"CI": "true", "HOME": str(place / "home"), **environment},
            key=self._key,
            on_line=on_line,
            timeout=timeout,
            memory=memory,
            cancelled=self._cancelled,
            mask=mask,
        )

    def built_in(self) -> dict[str, str]:
        """The variables that CodeBuild gives every build, save those of places."""
        order, job = self._order, self._job
        project = re.sub(r"[^A-Za-z0-9_-]", "-", job.name or "build")
        identity = f"{project}:{uuid.uuid4()}"
        region = order.environment.get("AWS_REGION") or os.environ.get("AWS_REGION")
        region = region or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        now = time.time()
        found = {
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "CODEBUILD_BUILD_ID": identity,
            "CODEBUILD_BUILD_ARN": f"arn:aws:codebuild:{region}:000000000000:build/{identity}",
            "CODEBUILD_BUILD_NUMBER": str(int(now)),
            "CODEBUILD_BUILD_SUCCEEDING": "1",
            "CODEBUILD_BUILD_IMAGE": order.image or "",
            "CODEBUILD_INITIATOR": f"codepipeline/{job.pipeline}"
            if job.pipeline
            else "prefect-delivery",
            "CODEBUILD_LOG_PATH": identity,
            "CODEBUILD_RESOLVED_SOURCE_VERSION": order.revision,
            "CODEBUILD_SOURCE_VERSION": order.revision,
            "CODEBUILD_START_TIME": str(int(now * 1000)),
        }
        if order.batch:
            found["CODEBUILD_BATCH_BUILD_IDENTIFIER"] = order.batch.identifier
            if order.batch.shard:
                number, total = order.batch.shard
                found |= {"DELIVERY_SHARD": str(number), "DELIVERY_SHARDS": str(total)}
        return found

    def cache(self) -> Cache:
        own = self._order.batch.identifier if self._order.batch else ""
        name = self._job.name or self._order.buildspec
        return Cache(f"{self._job.pipeline}\0{name}\0{own}", self._log)
