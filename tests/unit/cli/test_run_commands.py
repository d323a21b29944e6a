"""Runs, decisions and looks at them, through the installed command."""

import json
import re
from typing import Any

import pexpect
import pytest

GIVEN = ("-v", "region=eu")


def test_a_run_tells_each_change_and_ends_with_5_where_a_decision_is_missing(
    project: Any,
) -> None:
    done = project.deliver("run", "--local", "--no-wait-approval", *GIVEN)

    lines = [re.sub(r"^\[.{7}\] ", "", line) for line in done.stdout.splitlines()]
    assert lines[0] == "shop #1"
    assert "● Source / app  in-progress" in lines
    assert any(line.startswith("✓ Build / package  succeeded in ") for line in lines)
    assert "Ⅱ Release / ok  waiting · Is it fine?" in lines
    assert lines[-2:] == [
        '  go on: deliver approve shop 1 -m "..."',
        '  or:    deliver reject shop 1 -m "..."',
    ]
    assert done.returncode == 5
    assert "\x1b" not in done.stdout


def test_an_approval_goes_on_with_an_execution_that_nobody_drives(
    project: Any,
) -> None:
    project.deliver("run", "--local", "--no-wait-approval", *GIVEN)

    approved = project.deliver("approve", "--local", "-m", "smoke test is fine")

    assert approved.returncode == 0
    assert approved.stdout.startswith(
        "Ⅱ shop #1 Release / ok\n  asks: Is it fine?\n  commit: "
    )
    assert "\nshop #1: approve by ann noted\n" in approved.stdout
    assert "✓ shop #1 succeeded after " in approved.stdout
    status = json.loads(project.deliver("status", "shop", "1", "-o", "json").stdout)
    (decision,) = status["stages"][2]["actions"][0]["attempts"]
    assert decision["summary"] == "approved by ann: smoke test is fine"
    again = project.deliver("approve")
    assert again.returncode == 1
    assert again.stderr.startswith("error: shop #1 waits for no decision\n")


def test_a_decision_carries_on_what_waited_for_the_stage(project: Any) -> None:
    project.deliver("run", "--local", "--no-wait-approval", *GIVEN)
    second = project.deliver("run", "shop", "--local", "--no-wait-approval", *GIVEN)

    done = project.deliver("approve", "shop", "1", "--local")

    assert second.returncode == 5
    assert "#1 is in it" in second.stdout
    assert "shop #1 succeeded" in done.stdout
    assert re.search(r"shop #2\n.*Release / ok +waiting", done.stdout, re.DOTALL)


def test_a_rejection_ends_with_3(project: Any) -> None:
    project.deliver("run", "--local", "--no-wait-approval", *GIVEN)

    rejected = project.deliver("reject", "1", "--local", "-m", "prices are wrong")

    assert rejected.returncode == 3
    assert "prices are wrong" in rejected.stdout
    assert project.deliver("status", "1").returncode == 3


def test_a_failed_run_shows_the_end_of_the_log_and_what_to_do(project: Any) -> None:
    definition = project.folder / "delivery.yaml"
    noisy = "for i in $(seq 30); do echo line $i; done; printf '[red]\\\\033[2J\\\\n'; exit 7"
    text = definition.read_text().replace('"echo one", "echo two"', f'"{noisy}"')
    definition.write_text(text)

    done = project.deliver("run", "--local", *GIVEN)
    logs = project.deliver("logs", "--failed")
    retried = project.deliver("retry", "shop", "1", "--local")

    assert done.returncode == 1
    assert "-- Build / unit: last 20 of 33 lines\n" in done.stdout
    assert "   line 14\n" in done.stdout
    assert "   line 12\n" not in done.stdout
    assert "\n   [red]" in done.stdout
    assert done.stdout.endswith(
        "  logs:  deliver logs shop 1 --failed\n  again: deliver retry shop 1\n"
    )
    assert logs.stdout.startswith("-- Build / unit\n$ for i in")
    assert "line 1\n" in logs.stdout
    assert "\x1b" not in done.stdout + logs.stdout
    assert retried.returncode == 1
    assert "✗ Build / unit  failed in " in retried.stdout
    assert "Source / app" not in retried.stdout


def test_a_run_needs_its_variables_and_says_how_to_give_them(project: Any) -> None:
    done = project.deliver("run", "--local")

    assert done.returncode == 1
    assert done.stderr == (
        "error: variable 'region' needs a value\n"
        "next: deliver run shop -v region=VALUE\n"
    )
    assert done.stdout == ""


def test_looking_shows_what_has_run(project: Any) -> None:
    empty = [project.deliver(*words) for words in (["status"], ["history"])]
    project.deliver("run", "--local", "--no-wait-approval", *GIVEN)
    project.deliver("run", "shop", "--local", "--no-wait-approval", *GIVEN)

    overview = project.deliver("status")
    one = project.deliver("status", "shop #1")
    history = project.deliver("history", "-o", "json")
    logs = project.deliver("logs", "2", "Build/unit")
    log_data = project.deliver("logs", "shop", "1", "Release", "-o", "json")
    releases = project.deliver("releases", "production", "-o", "json")
    unknown = project.deliver("logs", "2", "Biuld")

    assert {done.stdout for done in empty} == {
        "no pipeline has run yet (start one: deliver run --local)\n"
    }
    assert re.match(r"shop #2  Ⅱ waiting  ✓✓Ⅱ  ", overview.stdout)
    assert one.returncode == 5
    assert one.stdout.startswith("shop #1 · waiting · ")
    assert "  Ⅱ Release Ⅱ ok " in one.stdout
    assert [each["number"] for each in json.loads(history.stdout)] == [2, 1]
    assert logs.stdout == "-- Build / unit\n$ echo one\none\n$ echo two\ntwo\n"
    (log,) = json.loads(log_data.stdout)
    assert (log["stage"], log["action"], log["attempt"]) == ("Release", "ok", 1)
    assert "there is no environment 'production'" in releases.stderr
    assert unknown.stderr == (
        "error: no stage 'Biuld' in shop #2 (there are: Source, Build, Release)\n"
        "next: deliver status shop 2\n"
    )


def test_a_ledger_that_cannot_be_read_leads_to_the_doctor(project: Any) -> None:
    (project.folder / ".home").mkdir()
    (project.folder / ".home" / "ledger.db").write_text(
        "no database, but a note\n" * 99
    )

    done = project.deliver("status")

    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert "next: " in done.stderr


def test_a_person_at_the_terminal_is_asked(project: Any) -> None:
    run = project.spawn("run", "--local", *GIVEN)

    run.expect_exact("shop #1 Release / ok waits for a decision: Is it fine?")
    run.expect_exact("[a]pprove  [r]eject  [q]uit: ")
    run.sendline("what?")
    run.expect_exact("[a]pprove  [r]eject  [q]uit: ")
    run.sendline("a")
    run.expect_exact("comment (may be empty): ")
    run.sendline("looks good")
    run.expect_exact("approved by ann: looks good")
    run.expect(r"shop #1 succeeded after \d+s")
    run.expect(pexpect.EOF)
    run.close()

    assert run.exitstatus == 0


def test_a_decision_from_elsewhere_ends_the_question(project: Any) -> None:
    run = project.spawn("run", "--local", *GIVEN)
    run.expect_exact("[q]uit: ")

    done = project.deliver("reject", "-m", "seen by somebody else")

    assert done.returncode == 0
    assert "watch: deliver status shop 1 --watch" in done.stdout
    run.expect_exact("seen by somebody else")
    run.expect(pexpect.EOF)
    run.close()
    assert run.exitstatus == 3


def test_a_person_may_leave_the_decision_to_others(project: Any) -> None:
    run = project.spawn("run", "--local", *GIVEN)
    run.expect_exact("[q]uit: ")

    run.sendline("q")

    run.expect_exact("deliver approve shop 1")
    run.expect(pexpect.EOF)
    run.close()
    assert run.exitstatus == 5


@pytest.mark.parametrize("when", ["unit", "[q]uit: "])
def test_an_interrupted_run_ends_with_130_and_may_be_retried(
    project: Any, when: str
) -> None:
    run = project.spawn("run", "--local", *GIVEN)
    run.expect_exact(when)

    run.sendintr()

    run.expect_exact("deliver retry shop 1")
    run.expect(pexpect.EOF)
    run.close()
    assert run.exitstatus == 130


@pytest.mark.parametrize("variable", ["CI", "NO_COLOR"])
def test_nothing_moves_where_nobody_wants_it(project: Any, variable: str) -> None:
    run = project.spawn(
        "run", "--local", "--no-wait-approval", *GIVEN, **{variable: "1"}
    )

    run.expect(pexpect.EOF)
    run.close()

    assert run.exitstatus == 5
    assert "\x1b" not in run.before
    assert "✓ Build / package  succeeded" in run.before
