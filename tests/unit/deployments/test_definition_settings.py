"""What Prefect is told of a definition, without a server."""

from typing import cast

import prefect
import pytest
from prefect.client.base import ServerType
from prefect.client.orchestration import SyncPrefectClient

from prefect_delivery.definition import load
from prefect_delivery.definition.models import Schedule
from prefect_delivery.deployments.definitions import (
    parameters_of,
    settings_of,
)
from prefect_delivery.deployments.live import Live
from prefect_delivery.errors import Refused
from prefect_delivery.flows.pipeline import pipeline

TEXT = """
pipeline: shop
stages:
  Zero:
    actions:
      app: {uses: source/git, with: {url: "https://git.example/shop"}}
  Another:
    actions:
      make: {uses: build/commands, with: {commands: ["true"]}}
  Alike:
    actions:
      make: {uses: build/commands, with: {commands: ["true"]}}
"""


def test_a_definition_comes_back_the_same_with_its_stages_in_order() -> None:
    definition = load(TEXT)

    given = parameters_of(settings_of(definition, pool="p"))["definition"]

    assert load(given) == definition
    assert load(given).digest == definition.digest
    assert list(load(given).stages) == ["Zero", "Another", "Alike"]
    assert "definition" in pipeline.parameters.properties


def test_schedules_that_differ_have_names_that_differ() -> None:
    crons = ["0 6 * * 1-5", "0 6 * * 1,5", "0 6 * * 1/5", "*/5 * * * *", "5 * * * *"]
    schedules = [Schedule(cron=cron) for cron in crons]
    schedules += [Schedule(cron=crons[0], timezone="Europe/Athens")]

    assert len({schedule.slug for schedule in schedules}) == len(schedules)


class _OtherServer:
    """There cannot be a server of another version of Prefect here."""

    api_url = "http://other.example/api"

    def __init__(self, version: str, kind: ServerType = ServerType.SERVER) -> None:
        self.version, self.server_type = version, kind

    def api_version(self) -> str:
        return self.version


@pytest.mark.parametrize(
    ("version", "warned"), [(prefect.__version__, False), ("3.1.15", True)]
)
def test_a_server_of_another_version_is_warned_of(version: str, warned: bool) -> None:
    told = Live(cast("SyncPrefectClient", _OtherServer(version))).other_version()

    assert (told is not None and version in told) is warned


def test_a_server_of_another_major_version_is_refused() -> None:
    other = Live(cast("SyncPrefectClient", _OtherServer("2.20.14")))

    with pytest.raises(Refused, match=r"other\.example/api runs Prefect 2\.20\.14"):
        other.other_version()


def test_prefect_cloud_has_any_version() -> None:
    cloud = _OtherServer("0.1.0", ServerType.CLOUD)

    assert Live(cast("SyncPrefectClient", cloud)).other_version() is None
