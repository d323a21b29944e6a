"""The page on notifications, carried out on a Prefect server of the tests' own."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from deployed import Server, until
from git_http import free_port
from listener import HANG, Listener, listening
from prefect.settings import PREFECT_API_URL, temporary_settings
from repository import Shop
from team import Team

from prefect_delivery import control
from prefect_delivery.channels import PREFECT
from prefect_delivery.cli.doctor import doctor
from prefect_delivery.cli.show import show_execution
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.events import Event, Payload
from prefect_delivery.ledger import Ledger
from prefect_delivery.outbox import tell_all

PAGE = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text()
BLOCK = "custom-webhook/team"
said: list[str] = []


def shown(language: str) -> str:
    """What the page shows first of a language."""
    return str(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[0])


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    with listening(made):
        yield made


@pytest.fixture
def api(server: Server) -> Iterator[str]:
    """The server's API, as the one that is configured here."""
    with temporary_settings({PREFECT_API_URL: server.url}):
        yield server.url


@pytest.fixture
def shop(home: Path, tmp_path: Path, api: str) -> Shop:
    """The page's pipeline in a repository of its own."""
    folder = tmp_path / "shop"
    folder.mkdir()
    made = Shop(folder, Ledger.open())
    made.git("init", "-q", "-b", "main")
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@shop.example")
    (folder / "delivery.yaml").write_text(shown("yaml").replace('"make"', '"exit 3"'))
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "one")
    return made


def save_block(listener: Listener) -> None:
    """What the page says how to save a block; at our endpoint, and saved again."""
    address = f"http://127.0.0.1:{listener.port}/{{{{token}}}}"
    code = shown("python").replace("https://chat.example/hooks/{{token}}", address)
    code = code.replace('{"text": "{{subject}}\\n{{body}}"}', repr(JSON))
    exec(code.replace('save("team")', 'save("team", overwrite=True)'), {})


JSON = {"subject": "{{subject}}", "body": "{{body}}"}


def events_of(api: str, execution: Execution) -> list[dict[str, Any]]:
    """What Prefect has of an execution's events, in the order of their times."""
    resource = {"id_prefix": [f"prefect-delivery.execution.{execution.id}"]}
    wanted = {"filter": {"any_resource": resource, "order": "ASC"}, "limit": 50}
    answer = httpx.post(f"{api}/events/filter", json=wanted).raise_for_status()
    return list(answer.json()["events"])


def test_the_page_is_true(shop: Shop, listener: Listener, api: str) -> None:
    save_block(listener)

    waiting = shop.drive(shop.start(), local=False)
    control.approve(shop.ledger, "shop", by="bob", comment="looks good")
    ended = shop.drive(waiting, local=False)

    assert ended.status is Status.FAILED
    until(lambda: _told(shop.ledger, listener, 3), "the last words")
    assert listener.subjects == [
        "shop #1 / Check succeeded",
        "shop #1 / Ask / ok waits for approval: Look at the preview.",
        f"shop #1 failed: {ended.reason}",
    ]
    asked = listener.heard[1][1]
    like = shown("text").splitlines()
    assert [line.split(":")[0] for line in asked.splitlines()] == [
        line.split(":")[0] for line in like
    ]
    assert f"revision: app {shop.git('rev-parse', 'HEAD')[:12]}" in asked
    assert f"/runs/flow-run/{waiting.flow_run}" in asked

    # Prefect's server stores events some time after it has taken them.
    until(
        lambda: any("pipeline.failed" in e["event"] for e in events_of(api, ended)),
        "the events",
    )
    found = events_of(api, ended)
    names = [each["event"].removeprefix("prefect-delivery.") for each in found]
    assert [name for name in names if name.startswith(("pipeline", "approval"))] == [
        "pipeline.started",
        "approval.waiting",
        "pipeline.waiting",
        "approval.approved",
        "pipeline.resumed",
        "pipeline.failed",
    ]
    assert len({each["id"] for each in found}) == len(found)
    last = next(e for e in found if e["event"].endswith("pipeline.failed"))
    assert last["payload"]["next"][1] == "deliver retry shop 1"
    assert last["resource"]["prefect-delivery.pipeline"] == "shop"
    related = {
        each["prefect.resource.role"]: each["prefect.resource.id"]
        for each in last["related"]
    }
    assert related["flow-run"] == f"prefect.flow-run.{ended.flow_run}"
    told = shop.ledger.outbox.list()
    assert [(each.name, each.error) for each in told] == [
        (BLOCK, None),
        (PREFECT, None),
    ]


def test_a_dead_endpoint_and_a_missing_block_hold_nothing_up(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (shop.folder / "delivery.yaml").read_text()
    missing = "  - {to: slack-webhook/nobody, on: [pipeline.started]}\nstages:"
    (shop.folder / "delivery.yaml").write_text(text.replace("stages:", missing, 1))
    dead = Listener(port=free_port())
    save_block(dead)
    started = shop.start()

    waiting = shop.drive(started, local=False)

    assert waiting.status is Status.WAITING
    show_execution("shop")
    page = capsys.readouterr().out
    assert f"{BLOCK} could not be told since" in page
    assert "cannot be reached: ConnectError" in page
    assert "Prefect has no block slack-webhook/nobody" in page
    doctor()
    assert "Prefect has no block slack-webhook/nobody" in capsys.readouterr().out

    # It lives again, but hangs at first.
    dead.answers = [HANG]
    with listening(dead):
        until(lambda: _told(shop.ledger, dead, 2), "the endpoint")
    assert dead.subjects == [
        "shop #1 / Check succeeded",
        "shop #1 / Ask / ok waits for approval: Look at the preview.",
    ]


def _told(ledger: Ledger, listener: Listener, count: int) -> bool:
    """Whether it has heard so much; what a busy machine has put off is told now."""
    tell_all(ledger, said.append)
    return len(listener.heard) == count


def test_a_local_run_tells_nobody(shop: Shop, listener: Listener, api: str) -> None:
    save_block(listener)

    waiting = shop.drive(shop.start(), local=True)

    assert waiting.status is Status.WAITING
    assert listener.asked == 0
    assert events_of(api, waiting) == []
    until(lambda: _told(shop.ledger, listener, 2), "the endpoint")


def test_automations_are_made_once_and_removed_with_the_deployment(
    team: Team, listener: Listener, api: str
) -> None:
    save_block(listener)
    path = team.write("told")
    team.deploy("told", "--notify", BLOCK)
    owner = "prefect-delivery.pipeline.told"

    def made() -> list[Any]:
        found = team.client.read_resource_related_automations(owner)
        return sorted(found, key=lambda each: each.name)

    first = made()
    names = ["told: an approval waits", "told: an execution failed"]
    assert [each.name for each in first] == names
    _tell(api, "told", "It failed.")
    until(lambda: listener.heard, "the automation")
    subject, body = listener.heard[0]
    assert (subject, body.splitlines()[-1]) == (
        "It failed.",
        "next: deliver retry told 1",
    )

    team.client.pause_automation(first[0].id)
    again = team.deploy("told", "--notify", BLOCK)

    assert "= told  unchanged" in again
    assert [each.enabled for each in made()] == [False, True]
    assert [each.id for each in made()] == [each.id for each in first]
    refused = team.deliver("deploy", "told", "--notify", "slack-webhook/nobody")
    assert refused.returncode == 1
    assert "Prefect has no block slack-webhook/nobody" in refused.stderr

    path.unlink()
    path.parent.rmdir()
    team.deploy("told", "--prune")

    assert made() == []


def _tell(api: str, pipeline: str, text: str) -> None:
    """Tell Prefect of a failed execution, as the outbox does."""
    event = Event(
        id=uuid4(),
        name="pipeline.failed",
        occurred=datetime.now(UTC),
        stage=None,
        resource="prefect-delivery.execution.e",
        title=f"{pipeline} #1",
        payload=Payload(
            text=text, next=[f"deliver retry {pipeline} 1"], pipeline=pipeline
        ),
        related={},
    )
    httpx.post(f"{api}/events", json=[event.as_data()]).raise_for_status()
