"""A pipeline that runs again, with actions of which nothing has changed."""

import os
from collections.abc import Callable

import pytest
import warm_commands
from repository import Shop

from prefect_delivery import control
from prefect_delivery.engine.state import ActionRun, Execution
from prefect_delivery.ledger import Ledger

BUILD = """
      package:
        uses: build/commands
        cache: {inputs: [src]}
        with:
          commands: [mkdir dist, cp src/greeting dist, 'echo v=1 >> "$DELIVERY_OUTPUT"']
        outputs: {site: ["dist/**"]}
"""


@pytest.fixture
def cached(shop: Shop) -> Shop:
    (shop.folder / "src").mkdir()
    (shop.folder / "src" / "greeting").write_text("hello\n")
    shop.define(BUILD)
    return shop


def package(execution: Execution) -> ActionRun:
    return execution.stages["Build"].actions["package"][-1]


def test_an_unchanged_action_leaves_what_it_left_before(
    cached: Shop, run: Callable[..., Execution]
) -> None:
    first = package(run())
    (cached.folder / "README").write_text("nothing that is built")
    cached.define(BUILD)

    second = run()

    assert package(second).summary == "unchanged since shop #1"
    assert package(second).artifacts == first.artifacts
    assert package(second).variables == first.variables == {"v": "1"}
    assert "Deliver / show: hello" in cached.lines
    log = [*next(iter(control.logs(second, stage="Build"))).lines()]
    assert log[-1].endswith("unchanged since shop #1: not run again")


def test_a_stage_that_is_retried_with_all_its_actions_runs_them(cached: Shop) -> None:
    cached.drive(cached.start(), local=True)
    broken = BUILD + "      check:\n        uses: build/commands\n"
    broken += "        run_order: 2\n        with: {commands: ['false']}\n"
    cached.define(broken)
    failed = cached.drive(cached.start(), local=True)
    assert package(failed).summary == "unchanged since shop #1"

    opened = control.retry(
        cached.ledger, "shop", failed.number, by="ann", all_actions=True
    )

    assert package(cached.drive(opened, local=True)).summary is None


def test_the_command_says_so_and_runs_all_when_it_is_told(cached: Shop) -> None:
    def deliver(*words: str) -> str:
        done = warm_commands.deliver(words, cwd=cached.folder, env=os.environ)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "reads app makes site  cached\n" in deliver("plan")

    deliver("run", "--local")

    assert "· unchanged since shop #1\n" in deliver("run", "--local")
    assert "unchanged" not in deliver("run", "--local", "--no-cache")
    with Ledger.open() as ledger:
        assert package(ledger.executions.find("shop")).summary is None
