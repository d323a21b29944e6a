"""The Prefect server that is configured where a task runs."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from prefect_delivery.errors import ActionFailed


@contextmanager
def prefect_server() -> Iterator[SyncPrefectClient]:
    """A client of the server that is configured here.

    Raises:
        ActionFailed: None is, or it does not answer, or refuses something.
    """
    if not get_current_settings().api.url:
        raise ActionFailed(
            "no Prefect server is configured here",
            hint="start one, and set PREFECT_API_URL",
        )
    try:
        with get_client(sync_client=True) as client:
            yield client
    except ObjectNotFound as error:
        raise ActionFailed(f"Prefect has no such thing: {error.http_exc}") from error
    except httpx.HTTPError as error:
        raise ActionFailed(f"Prefect: {str(error) or repr(error)}") from error
