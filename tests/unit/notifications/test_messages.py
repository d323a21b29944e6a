"""What a notification says, and what it never does."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from prefect_delivery.definition import load
from prefect_delivery.events import Event, Payload
from prefect_delivery.notifications import harmless, is_asked_for, message_of

TEAM, OTHER = "slack-webhook/team", "slack-webhook/other"
DEFINITION = """
pipeline: shop
notifications:
  - {to: slack-webhook/team, on: ["pipeline.{failed,stopped}", "rollout.*"]}
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: https://git.example/shop}}
  Build:
    notifications:
      - {to: slack-webhook/other, on: ["*.failed"]}
    actions:
      make: {uses: build/commands, with: {commands: ["true"]}}
"""


def event(name: str, stage: str | None = None, **said: Any) -> Event:
    values = {"text": "shop #42 failed", "next": [], **said}
    return Event(
        id=UUID(int=7),
        name=name,
        occurred=datetime(2026, 1, 1, tzinfo=UTC),
        stage=stage,
        resource="prefect-delivery.execution.e",
        title="shop #42",
        payload=Payload(**values),
        related={},
    )


@pytest.mark.parametrize(
    ("name", "stage", "block", "asked"),
    [
        ("pipeline.failed", None, TEAM, True),
        ("pipeline.stopped", None, TEAM, True),
        ("pipeline.succeeded", None, TEAM, False),
        ("rollout.rolled-back", None, TEAM, True),
        ("stage.failed", "Build", OTHER, True),
        ("action.failed", "Build", OTHER, True),
        ("stage.failed", "Source", OTHER, False),
        ("pipeline.failed", None, OTHER, False),
        ("stage.failed", "Build", TEAM, False),
    ],
)
def test_a_block_is_told_of_what_the_definition_asks_for(
    name: str, stage: str | None, block: str, asked: bool
) -> None:
    assert is_asked_for(event(name, stage), load(DEFINITION), block) is asked


def test_a_message_says_what_happened_to_what_and_what_to_do() -> None:
    happened = event(
        "pipeline.failed",
        text="shop #42 failed: Build\nline two",
        next=["deliver retry shop 42"],
        revisions={"app": "0123456789abcdef"},
        started_by="ann",
        trigger="push",
        environment="production",
        link="https://prefect.example/runs/flow-run/1",
    )

    subject, body = message_of(happened)

    assert subject == "shop #42 failed: Build"
    assert body.splitlines() == [
        "shop #42 failed: Build",
        "line two",
        "revision: app 0123456789ab",
        "environment: production",
        "started by: ann (push)",
        "see: https://prefect.example/runs/flow-run/1",
        "next: deliver retry shop 42",
        "event: 00000000-0000-0000-0000-000000000007",
    ]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<!channel> look", "‹!channel› look"),  # noqa: RUF001 - what is shown
        ("@everyone @Here", "@\u200beveryone @\u200bHere"),
        ("ann@example.com", "ann@example.com"),
        ("[free](http://evil.example)", "[free] (http://evil.example)"),
        ("\x1b]52;c;ZXZpbA==\x07", r"\x1b]52;c;ZXZpbA==\x07"),
        ("right\u202eleft", r"right\u202eleft"),
    ],
)
def test_a_message_calls_nobody_and_moves_no_cursor(said: str, shown: str) -> None:
    assert harmless(said) == shown
    subject, body = message_of(event("pipeline.failed", text=said))
    assert (subject, body.splitlines()[0]) == (shown, shown)


def test_an_event_is_what_prefect_takes() -> None:
    from prefect.events import Event as PrefectEvent

    data = event("stage.failed", "Build", pipeline="shop", number=42).as_data()

    taken = PrefectEvent.model_validate(data)
    assert taken.event == "prefect-delivery.stage.failed"
    assert taken.resource["prefect-delivery.pipeline"] == "shop"
    assert taken.resource["prefect-delivery.number"] == "42"
    assert taken.payload == {
        "text": "shop #42 failed",
        "next": [],
        "pipeline": "shop",
        "number": 42,
    }
