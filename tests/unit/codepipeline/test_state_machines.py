"""Pipelines as state machines, checked by statelint."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prefect_delivery.codepipeline.states import FAILED, state_machine
from prefect_delivery.definition.loader import load
from prefect_delivery.errors import Refused

SHOP = """\
pipeline: shop
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: ".", branch: main}}
  Build:
    actions:
      unit: {uses: test/commands, inputs: app, with: {commands: [make test]}}
      package:
        uses: build/commands
        inputs: app
        with: {commands: [make]}
        outputs: {site: ["dist/**"]}
        timeout: 5
        retry: {attempts: 3, delay: 2, backoff: 1.5}
      check: {uses: test/commands, inputs: site, run_order: 2, with: {commands: [ls]}}
  Approve:
    actions:
      ok: {uses: approval/manual}
"""


def machine(text: str = SHOP) -> dict[str, Any]:
    return state_machine(load(text), "worker")


def test_stages_follow_one_another_and_a_run_order_is_parallel() -> None:
    states = machine()["States"]

    found, step = [], machine()["StartAt"]
    while step:
        branches = states[step]["Branches"]
        found.append([branch["StartAt"] for branch in branches])
        step = states[step].get("Next")
    assert found == [
        ["Source / app"],
        ["Build / unit", "Build / package"],
        ["Build / check"],
        ["Approve / ok"],
    ]


def test_a_failure_ends_the_machine() -> None:
    states = machine()["States"]

    assert states.pop(FAILED)["Type"] == "Fail"
    for state in states.values():
        assert state["Catch"] == [{"ErrorEquals": ["States.ALL"], "Next": FAILED}]


def test_retries_and_time_limits_are_those_of_the_action() -> None:
    package = machine()["States"]["Build 1"]["Branches"][1]["States"]["Build / package"]

    assert package["TimeoutSeconds"] == 300
    assert package["Retry"] == [
        {
            "ErrorEquals": ["States.ALL"],
            "IntervalSeconds": 2,
            "MaxAttempts": 2,
            "BackoffRate": 1.5,
        }
    ]


def test_an_approval_waits_for_its_token() -> None:
    ok = machine()["States"]["Approve 1"]["Branches"][0]["States"]["Approve / ok"]

    assert ok["Resource"].endswith(":lambda:invoke.waitForTaskToken")
    assert ok["Parameters"]["Payload"]["token.$"] == "$$.Task.Token"


def test_statelint_finds_nothing_wrong(tmp_path: Path) -> None:
    file = tmp_path / "machine.json"
    file.write_text(json.dumps(machine()))

    done = linted(file)
    assert done.returncode == 0, done.stdout + done.stderr

    file.write_text(file.read_text().replace('"Next": "Build 1"', '"Next": "Gone"'))
    assert linted(file).returncode == 1


def linted(file: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "statelint", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_a_state_machine_cannot_say_is_refused() -> None:
    conditional = SHOP + (
        "    on_success:\n      rules:\n"
        "        open: {uses: rule/commands, with: {commands: [ls]}}\n"
    )

    with pytest.raises(Refused, match="stage 'Approve' has 'on_success'"):
        machine(conditional)


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(Refused, match="longer than the 80 characters"):
        machine(SHOP.replace("package", "p" * 80))
