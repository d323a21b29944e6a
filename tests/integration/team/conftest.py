"""A team's installation from the shipped files, one for all tests of this folder."""

from collections.abc import Iterator

import pytest
from installation import MISSING, Installation, installation


@pytest.fixture(scope="session")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)}")
    folder = tmp_path_factory.mktemp("installation") / "team"
    # So that a lost process need not be missed for a minute.
    with installation(folder, PREFECT_DELIVERY_LEASE="15") as made:
        yield made
