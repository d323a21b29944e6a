import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from textwrap import dedent

import pytest
from rich.console import Console, RenderableType

from prefect_delivery.cli.data import execution_data
from prefect_delivery.cli.exits import code_of
from prefect_delivery.cli.views import (
    changes,
    ending,
    headline,
    next_commands,
    overview,
    tree,
)
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import ActionRun, Execution, StageRun, Status, Stop
from prefect_delivery.stages import span, stage_views

HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]boo[/] \u202eevil\r\nsecond line"


def text_of(*parts: RenderableType, width: int = 78) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def block(text: str) -> str:
    return dedent(text).strip("\n")


def test_the_tree_of_a_running_execution_has_the_line_that_was_logged_last(
    running: Execution, now: datetime
) -> None:
    shown = text_of(
        headline(running, now), tree(running, now, {"Build / unit": "test_login ..."})
    )

    assert shown == block(
        """
        shop #42 · in-progress · 1m 12s · push by ann@example.org
          ✓ Source     ✓ app         2s 3c1f0aa hello
          ● Build      ● unit    1m 10s test_login ...
                       ✓ package     1s
          ○ Production ○ ok
                       ○ deploy
        """
    )


def test_the_tree_of_a_waiting_execution_says_what_it_waits_for(
    waiting: Execution, now: datetime
) -> None:
    assert text_of(tree(waiting, now)).splitlines()[3:] == [
        "  Ⅱ Production Ⅱ ok      59s waits for a decision · Is staging fine?",
        "               ○ deploy",
    ]


def test_the_tree_of_a_failed_execution_says_why_and_at_which_attempt(
    failed: Execution, now: datetime
) -> None:
    assert (
        "  ✗ Build      ✗ unit    3s attempt 2 · 1 failed, 411 passed"
        in text_of(tree(failed, now)).splitlines()
    )


def test_a_stage_that_is_tried_again_shows_its_actions_as_not_started(
    failed: Execution, now: datetime
) -> None:
    build = failed.stages["Build"]
    again = StageRun(
        status=Status.IN_PROGRESS,
        started=build.started,
        actions=build.actions,
        baseline={"unit": 2},
    )
    retried = replace(
        failed,
        status=Status.IN_PROGRESS,
        ended=None,
        stages=failed.stages | {"Build": again},
    )

    shown = text_of(tree(retried, now)).splitlines()

    assert shown[1:3] == [
        "  ● Build      ○ unit       attempt 2",
        "               ✓ package 1s",
    ]


def test_text_from_outside_is_neither_markup_nor_terminal_control(
    running: Execution, now: datetime
) -> None:
    hostile = replace(running, reason=HOSTILE, started_by=HOSTILE)

    shown = text_of(
        headline(hostile, now),
        tree(hostile, now, {"Build / unit": HOSTILE}),
        overview([hostile], now),
        width=400,
    )

    assert shown.count("[bold red]boo[/] \ufffdevil second line") >= 4
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(shown)


def test_a_narrow_terminal_shortens_the_notes_and_nothing_else(
    waiting: Execution, now: datetime
) -> None:
    shown = text_of(tree(waiting, now), width=45).splitlines()

    assert shown[3] == "  Ⅱ Production Ⅱ ok      59s waits for a dec…"


def test_the_overview_has_a_row_for_each_execution(
    running: Execution, failed: Execution, now: datetime
) -> None:
    rows = text_of(overview([running, failed], now), width=120).splitlines()

    assert rows[0].startswith("shop #42  ● in-progress  ✓●○  1m 12s  ")
    assert rows[0].endswith("push by ann@example.org")
    assert rows[1].startswith("shop #42  ✗ failed       ✓✗○  13s ")
    assert rows[1].endswith("manual by ann: Build / unit: 1 failed, 411 passed")


def test_a_change_is_told_once(
    running: Execution, waiting: Execution, now: datetime
) -> None:
    assert changes(running, running, now) == []
    assert changes(running, waiting, now) == [
        "[ 1m 12s] ✓ Build / unit  succeeded in 11s · 412 passed",
        "[ 1m 12s] Ⅱ Production / ok  waiting · Is staging fine?",
    ]


def test_a_second_attempt_is_a_change_although_the_status_is_the_same(
    failed: Execution, now: datetime
) -> None:
    build = failed.stages["Build"]
    first = {"unit": build.actions["unit"][:1], "package": build.actions["package"]}
    before = replace(
        failed, stages=failed.stages | {"Build": replace(build, actions=first)}
    )

    assert changes(before, failed, now) == [
        "[ 1m 12s] ✗ Build / unit  failed in 3s · attempt 2 · 1 failed, 411 passed"
    ]


def test_rules_are_shown_around_the_actions_and_overridden_by_name(
    shop: Pipeline, now: datetime
) -> None:
    rule = {"rules": {"hours": {"uses": "rule/deployment-window"}}}
    data = shop.snapshot()
    name = list(shop.stages)[-1]
    data["stages"][name] |= {"before_entry": rule, "on_failure": None}
    definition = Pipeline.model_validate(data)
    due = now + timedelta(hours=1)
    asked = ActionRun(
        attempt=1, status=Status.WAITING, started=now, due=due, summary="opens Mon"
    )
    run = StageRun(status=Status.IN_PROGRESS, actions={"before_entry:hours": (asked,)})
    execution = Execution(
        id="e",
        pipeline="shop",
        number=7,
        definition=definition,
        status=Status.WAITING,
        started=now,
        stages={name: run},
    )

    [*_, stage] = stage_views(execution, now)

    assert stage.status is Status.WAITING
    assert stage.groups[0][0].name == "before_entry: hours"
    assert text_of(tree(execution, now)).count("opens Mon") == 1
    assert "waits for a decision" not in text_of(tree(execution, now))
    assert next_commands(execution) == [
        f'go on: deliver override shop 7 {name} -m "..."'
    ]
    told = execution_data(execution, now)["stages"][-1]["rules"]
    assert told[0]["attempts"][0]["due"] == due.isoformat()


def test_an_end_is_followed_by_what_a_person_may_do(
    failed: Execution, waiting: Execution, now: datetime
) -> None:
    assert ending(failed, now) == (
        "✗ shop #42 failed after 13s: Build / unit: 1 failed, 411 passed"
    )
    assert next_commands(failed) == [
        "logs:  deliver logs shop 42 --failed",
        "again: deliver retry shop 42",
    ]
    assert next_commands(waiting) == [
        'go on: deliver approve shop 42 -m "..."',
        'or:    deliver reject shop 42 -m "..."',
    ]
    assert next_commands(replace(waiting, status=Status.SUCCEEDED)) == [
        "undo:  deliver rollback shop Production"
    ]


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_view_and_an_exit_code(
    running: Execution, now: datetime, status: Status
) -> None:
    execution = replace(running, status=status)

    assert text_of(headline(execution, now), tree(execution, now))
    assert ending(execution, now)
    assert code_of(execution) in {0, 1, 3, 5}


def test_the_exit_code_tells_a_failure_a_rejection_and_an_interruption_apart(
    failed: Execution, waiting: Execution, now: datetime
) -> None:
    ok = waiting.stages["Production"].actions["ok"][0]
    no = replace(ok, status=Status.FAILED, ended=now, retryable=False)
    production = StageRun(status=Status.FAILED, actions={"ok": (no,)})
    rejected = replace(
        waiting,
        status=Status.FAILED,
        stages=waiting.stages | {"Production": production},
    )
    stopped = replace(waiting, status=Status.STOPPED, stop=Stop(by="ann", reason=""))
    interrupted = replace(stopped, stop=Stop(by="SIGINT", reason=""))

    codes = [code_of(e) for e in (failed, rejected, stopped, interrupted, waiting)]

    assert codes == [1, 3, 3, 130, 5]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (72, "1m 12s"),
        (7500, "2h 05m"),
        (273_600, "3d 4h"),
    ],
)
def test_a_duration_reads_as_people_say_it(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_json_tells_every_attempt(failed: Execution, now: datetime) -> None:
    data = json.loads(json.dumps(execution_data(failed, now)))

    assert (data["pipeline"], data["number"], data["status"]) == ("shop", 42, "failed")
    assert data["seconds"] == 13
    source, build, production = data["stages"]
    assert source["actions"][0]["attempts"][0]["summary"] == "3c1f0aa hello"
    assert [a["error"] for a in build["actions"][0]["attempts"]] == [
        "2 failed, 410 passed",
        "1 failed, 411 passed",
    ]
    assert production["status"] is None
    assert production["actions"][1] == {
        "name": "deploy",
        "uses": "deploy/environment",
        "attempts": [],
    }
