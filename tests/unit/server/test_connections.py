"""The file that says who may tell of changes."""

from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from prefect_delivery.errors import Refused
from prefect_delivery.server.connections import (
    Configuration,
    Connection,
    read_configuration,
)
from prefect_delivery.server.limits import MOST_SENDERS, Limits

GOOD = """
connections:
  github:
    forge: github
    repositories: [github.com/ann/*]
    secrets: [env:KEY, shop-webhook]
    token: env:TOKEN
    api: https://github.example/api/v3
largest: 100000
"""


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "server.yaml").write_text(GOOD)

    read = read_configuration(tmp_path / "server.yaml")

    assert read.connections["github"].secrets == ["env:KEY", "shop-webhook"]
    assert (read.largest, read.waiting) == (100_000, 1000)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("forge: github", "forge: svn", "connections.github.forge: "),
        ("largest", "biggest", "biggest: Extra inputs are not permitted"),
        ("[env:KEY, shop-webhook]", "[]", "connections.github.secrets: "),
        ("https://github.example", "https://a@github.example", "github.api: "),
        ("  github:", "  Git/Hub:", "connections.Git/Hub.[key]: "),
        ("connections:", "connections: [", "is no YAML"),
    ],
)
def test_what_is_wrong_in_it_is_named(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    (tmp_path / "server.yaml").write_text(GOOD.replace(old, new))

    with pytest.raises(Refused) as refused:
        read_configuration(tmp_path / "server.yaml")

    assert said in str(refused.value)


def test_a_missing_file_leads_to_the_page(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        read_configuration(tmp_path / "server.yaml")

    assert refused.value.hint == "see docs/webhooks.md"


@pytest.mark.parametrize(
    ("pattern", "repository", "may"),
    [
        ("github.com/ann/shop", "https://github.com/ann/shop.git", True),
        ("github.com/ann/shop", "git@github.com:ann/shop.git", True),
        ("github.com/ann/shop", "https://github.com/Ann/Shop", True),
        ("github.com/ann/shop", "https://github.com/ann/shop2", False),
        ("github.com/ann/*", "https://github.com/ann/shop", True),
        ("github.com/ann/*", "https://github.com/anna/shop", False),
        ("github.com/ann/*", "https://github.com.eve.org/ann/shop", False),
        ("github.com/ann/*", "https://eve.org/github.com/ann/shop", False),
        ("github.com/ann/*", "https://github.com@eve.org/ann/shop", False),
    ],
)
def test_whom_a_connection_may_speak_of(
    pattern: str, repository: str, may: bool
) -> None:
    values: dict[str, Any] = {"forge": "github", "secrets": ["x"]}
    connection = Connection(repositories=[pattern], **values)

    assert connection.may_speak_of(repository) is may


def test_defaults_are_those_of_the_page() -> None:
    text = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
    for name, field in Configuration.model_fields.items():
        if field.default is not PydanticUndefined:
            assert f"`{name}` | {field.default}" in text


def test_a_sender_may_go_on_at_the_rate() -> None:
    now = 0.0
    limits = Limits(each_minute=60, burst=2, now=lambda: now)

    first = [limits.pause("a") for _ in range(3)]
    other = limits.pause("b")
    now = 1.0
    later = [limits.pause("a") for _ in range(2)]

    assert first == [0, 0, 1]
    assert other == 0
    assert later == [0, 1]


def test_many_senders_take_no_more_memory_than_some() -> None:
    limits = Limits(each_minute=60, burst=1)

    for number in range(MOST_SENDERS + 5):
        limits.pause(str(number))

    assert len(limits._buckets) == MOST_SENDERS
