"""Makes one build, again where its buildspec says so."""

import time
from pathlib import Path
from shutil import rmtree
from threading import Event

import regex  # type: ignore[import-untyped]  # ships no types

from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.tasks.build.buildspec_attempt import Attempt
from prefect_delivery.tasks.build.buildspec_order import Built, Failure, Order
from prefect_delivery.tasks.build.buildspec_site import Site

MATCH_SECONDS = 1.0
"""How long the pattern of RETRY may be looked for."""


def make(order: Order, folder: Path, job: Job, cancelled: Event) -> Built:
    """Make a build in `folder`, again where `on-failure` says so.

    Raises:
        ActionFailed: It could not be started, or was stopped.
    """
    site = Site(order, job, cancelled)
    attempt = 0
    while True:
        place = folder / f"attempt{attempt}"
        place.mkdir()
        built, failure = Attempt(site, place, order).run()
        most = _retries(failure) if failure else 0
        if attempt >= most or site.stopped or time.monotonic() > order.deadline:
            return built
        attempt += 1
        site.log(f"the build is made again: {attempt} of {most}")
        rmtree(place, ignore_errors=True)


def _retries(failure: Failure) -> int:
    """How often a build that failed so may be made again."""
    wanted = failure.phase.on_failure if failure.phase else None
    if not wanted or wanted.result != "RETRY":
        return 0
    text = f"{failure.message}\n{failure.output}"
    try:
        found = regex.search(wanted.pattern, text, timeout=MATCH_SECONDS)
    except (TimeoutError, regex.error) as error:
        raise ActionFailed(
            f"{failure.message}; the pattern '{wanted.pattern[:60]}' of 'on-failure'"
            f" cannot be looked for: {error or 'it takes too long'}"
        ) from error
    return wanted.retries if found else 0
