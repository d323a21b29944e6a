"""The Prefect server that is configured, known to answer."""

import time

from httpx import HTTPError, HTTPStatusError, InvalidURL
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.settings import get_current_settings

from prefect_delivery.errors import Refused
from prefect_delivery.retrying import retrying

PATIENCE = 10.0
"""Seconds that the server may take to answer."""
PAUSE = 1.0
"""Seconds until a server that did not answer is asked again."""


def configured_server(wait: float = 0) -> str | None:
    """URL of the API that Prefect is configured to use, if any.

    Args:
        wait: Seconds in which it may yet begin to answer.

    Raises:
        Refused: It does not answer as Prefect does; says what to do.
    """
    url = get_current_settings().api.url
    deadline = time.monotonic() + wait
    while url is not None:
        try:
            _refuse_silence(url)
            break
        except Refused:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)
    return url


def _refuse_silence(url: str) -> None:
    try:
        # An attempt that a person waits for is not repeated for a minute.
        with (
            retrying(0),
            get_client({"timeout": PATIENCE}, sync_client=True) as client,
        ):
            client.count_flow_runs()
    except HTTPStatusError as error:
        code = error.response.status_code
        raise Refused(
            f"the Prefect server at {url} refuses us: {code}"
            f" {error.response.reason_phrase}",
            hint=_REFUSED if code in {401, 403} else _SILENT,
        ) from error
    except (HTTPError, InvalidURL, PrefectException, OSError, ValueError) as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        raise Refused(
            f"the Prefect server at {url} does not answer: {said}", hint=_SILENT
        ) from error


_SILENT = (
    "start it (prefect server start), or use a private one"
    " (prefect config unset PREFECT_API_URL), or none (--local)"
)
_REFUSED = "set PREFECT_API_AUTH_STRING or PREFECT_API_KEY, or use none (--local)"
