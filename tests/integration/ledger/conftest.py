"""A PostgreSQL server of our own, on a socket in a temporary folder."""

from collections.abc import Iterator

import pytest
from postgresql import MISSING, Server, postgresql_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A running server with a superuser `delivery`."""
    if MISSING:
        pytest.skip("needs PostgreSQL's server programs and setpriv")
    with postgresql_server() as server:
        yield server
