"""Let all clients of Prefect in a process share the certificates of the authorities.

Each client loads them anew, which takes 15 ms, and a run of a pipeline opens a dozen.
Processes that are forked later find them loaded.
"""

import ssl
from functools import cache
from typing import Any

import certifi
from prefect.client import orchestration
from prefect.settings import get_current_settings


class _Shared:
    """What Prefect's client uses of `ssl`, with each context made once."""

    SSLContext = ssl.SSLContext
    CERT_NONE = ssl.CERT_NONE
    create_default_context = staticmethod(cache(ssl.create_default_context))


def share() -> None:
    """Share from now on, and load what a client takes by default."""
    module: Any = orchestration
    # Only there: programs of others may change the contexts that they make.
    module.ssl = _Shared
    file = get_current_settings().api.ssl_cert_file or certifi.where()
    _Shared.create_default_context(cafile=file)
