"""What a person does by `deliver` with a rollout that is under way, or was."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from host_shop import stop_everything
from polling import until
from processes import Child
from projects import ENVIRONMENT, Project

from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.blocks.host_service import free_port
from prefect_delivery.cli import app
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.holder import this_holder
from prefect_delivery.ledger import Ledger

SERVER = 'exec python3 -m http.server "$PORT" --bind "$HOST"'


class Plain(Project):
    """A project, and people who use the command on it."""

    def deliver(self, *words: str, code: int = 0) -> str:
        """What the command said; it ends with that code."""
        with tempfile.TemporaryFile("w+") as output:

            def command() -> None:
                for stream in (1, 2):
                    os.dup2(output.fileno(), stream)
                sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
                os.environ |= {"PREFECT_DELIVERY_USER": "ann", "COLUMNS": "300"}
                os.chdir(self.folder)
                sys.argv = ["deliver", *words]
                try:
                    app.run()
                except SystemExit as end:
                    os._exit(int(end.code or 0))

            # By fork, since the imports would take longer than all the rest.
            ended = Child(command).wait()
            output.seek(0)
            said = output.read()
        assert ended == code, said
        return said

    def data(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.deliver(*words, "-o", "json", code=code))


class Delivered(Plain):
    """A project whose service runs."""

    port: int
    count = 0

    @property
    def service(self) -> dict[str, Any]:
        return {
            "service": {"command": ["sh", "-c", SERVER], "ready": {"path": "/dist/"}},
            "port": self.port,
        }

    @property
    def target(self) -> HostEnvironment:
        return HostEnvironment(root=self.root, **self.service)

    def brings(self, **environment: Any) -> str:
        """Publish a release that was never there before; gives its greeting."""
        self.count += 1
        greeting = f"greeting-{self.count}"
        more = {**self.service, **environment}
        self.publish(greeting=greeting, environment=more)
        return greeting

    def deploy(self) -> str:
        """Deploy a new release, which serves then."""
        greeting = self.brings()
        ended = self.run()
        assert ended.status is Status.SUCCEEDED, ended.reason
        return greeting

    def bakes(self) -> tuple[Execution, str, Callable[[], int]]:
        """An execution whose new release has all the traffic, and is watched."""
        greeting = self.brings(bake=60)
        execution = self.start()
        child = self.in_child(execution, stay=True)
        until(self.is_watched)
        return execution, greeting, child.wait

    def is_watched(self) -> bool:
        steps = [s for r in self.ledger.rollouts.unfinished() for s in r.steps]
        return bool(steps) and steps[-1].verb == "watch"

    def without_bake(self) -> None:
        """Register the environment as somebody does who has edited the definition."""
        state = self.ledger.environments.get(ENVIRONMENT)
        shorter = {**state.configuration, "bake": 0}
        self.ledger.environments.register(ENVIRONMENT, state.kind, shorter)

    def current(self) -> str:
        """Beginning of the digest of the release that the ledger has as current."""
        found = self.ledger.releases.current(ENVIRONMENT)
        assert found
        return found.digest[:12]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    folder = tmp_path_factory.mktemp("commands")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_DELIVERY_HOME", str(folder / "home"))
        Delivered.port = free_port()
        project = Delivered.at(folder / "shop")
        yield project
        stop_everything(project.target)


@pytest.fixture
def project(shared: Delivered) -> Iterator[Delivered]:
    """The project, with a release that serves; all holds again at the end."""
    shared.deploy()
    yield shared
    assert shared.deliver("env", "check", "production").startswith("✓")
    shared.audit()


def test_a_rollout_that_is_held_goes_on(project: Delivered) -> None:
    execution, greeting, end = project.bakes()

    project.deliver("stop", "shop", "--hold", "-m", "look at it")

    assert end() == 0
    assert project.ledger.executions.get(execution.id).status is Status.STOPPED
    found = project.data("env", "check", "production", code=1)
    assert found["locked"].startswith("held while shop #")
    assert "locked: held while" in project.deliver("env", "ls")
    project.audit()
    project.brings()
    assert "is locked: held while" in project.deliver("run", "--local", code=1)
    project.without_bake()
    said = project.deliver("env", "repair", "production", "--on", "-m", "it is fine")
    assert f"✓ {ENVIRONMENT} runs {execution.title}" in said
    assert project.served == greeting


def test_a_rollout_that_is_held_goes_back(project: Delivered) -> None:
    before = project.served
    _, _, end = project.bakes()

    project.deliver("stop", "--hold")

    assert end() == 0
    project.deliver("env", "repair", "production", "--back", "-m", "too slow")
    assert project.served == before


def test_a_rollout_that_is_held_gives_way_to_a_release_of_before(
    project: Delivered,
) -> None:
    before, release = project.served, project.current()
    _, _, end = project.bakes()
    project.deliver("stop", "--hold")
    assert end() == 0

    for wrong in ([], ["--on", "--back"]):
        words = (
            "env",
            "repair",
            "production",
            *wrong,
            "-m",
            "a",
        )
        assert "choose one way" in project.deliver(*words, code=1)
    project.deliver("env", "repair", "production", "--to", release, "-m", "known")

    assert project.served == before


def test_a_rollout_that_is_stopped_is_undone(project: Delivered) -> None:
    before = project.served
    execution, _, end = project.bakes()

    assert "choose: --hold or --rollback" in project.deliver(
        "stop", "--hold", "--rollback", code=1
    )
    said = project.deliver("stop", "shop", str(execution.number), "--rollback")

    assert f"{execution.title} is told to stop" in said
    assert end() == 0
    assert project.ledger.executions.get(execution.id).status is Status.STOPPED
    last = project.ledger.rollouts.history(ENVIRONMENT, 1)[0]
    assert (last.status, project.served) == ("rolled-back", before)
    assert project.ledger.quarantine.list() == []


def test_what_is_locked_is_unlocked_by_somebody_who_has_looked(
    project: Delivered,
) -> None:
    _, _, end = project.bakes()
    project.deliver("stop", "--hold")
    assert end() == 0

    said = project.deliver("env", "unlock", "production", "-m", "looked at it")

    assert f"{ENVIRONMENT} is unlocked" in said
    greeting = project.brings()
    project.deliver("run", "--local")
    assert project.served == greeting
    assert "is not locked" in project.deliver(
        "env", "unlock", "production", "-m", "again", code=1
    )


def test_what_is_kept_out_is_let_in_again(project: Delivered) -> None:
    before, release = project.served, project.current()
    project.deploy()
    words = ("env", "quarantine", "production")

    assert "say why" in project.deliver(*words, release, code=1)
    project.deliver(*words, release, "-m", "wrong prices")

    assert "wrong prices (by ann" in project.deliver(*words)
    project.publish(greeting=str(before), environment=project.service)
    assert "in quarantine: wrong prices" in project.deliver("run", "--local", code=1)
    project.deliver("env", "lift", "production", release, "-m", "they are right")
    project.deliver("retry", "--local")
    assert project.served == before
    assert "keeps nothing out" in project.deliver(*words)


def test_what_is_kept_out_is_let_in_by_whoever_retries(project: Delivered) -> None:
    before, release = project.served, project.current()
    project.deploy()
    project.deliver("env", "quarantine", "production", release, "-m", "wrong prices")
    project.publish(greeting=str(before), environment=project.service)
    failed = project.start()
    assert project.run(failed).status is Status.FAILED
    retry = ("retry", "shop", str(failed.number), "--local")

    refused = project.deliver("retry", "--local", code=1)
    said = f"deliver retry shop {failed.number} --lift REASON, or: deliver env lift"
    assert said in project.deliver("logs", "shop", str(failed.number), "--failed")
    assert "in quarantine: wrong prices" in refused
    assert "say why" in project.deliver(*retry, "--lift", "", code=1)
    project.deliver(*retry, "--lift", "they are right")

    assert project.served == before
    assert project.ledger.quarantine.list() == []
    lifted = [e for e in project.ledger.audit.entries() if e.verb == "lift quarantine"]
    assert (lifted[0].actor, lifted[0].detail["reason"]) == ("ann", "they are right")
    other = project.deliver("run", "--local")
    assert "succeeded" in other


def test_what_is_kept_out_is_brought_back_by_whoever_says_so(
    project: Delivered,
) -> None:
    before, release = project.served, project.current()
    number = project.ledger.executions.find("shop").number
    project.deploy()
    project.deliver("env", "quarantine", "production", release, "-m", "wrong prices")
    back = ("rollback", "shop", "Production", "--to", str(number), "--local")

    refused = project.deliver(*back, code=1)
    unnamed = (*back[:3], "--lift", "fine", "--local")
    assert "name what to bring back" in project.deliver(*unnamed, code=1)
    project.deliver(*back, "--lift", "they are right")

    assert f"{' '.join(back[:5])} --lift REASON" in refused
    assert project.served == before
    # What it goes back from is kept out now.
    [kept] = project.ledger.quarantine.list()
    assert kept.reason == "it was rolled back"
    project.ledger.quarantine.lift(ENVIRONMENT, kept.release, by="ann", reason="a test")


def test_what_is_not_kept_out_needs_no_lifting(project: Delivered) -> None:
    project.publish("false", environment=project.service)
    failed = project.run()

    said = project.deliver("retry", "--local", "--lift", "why not", code=1)

    assert f"no quarantine keeps {failed.title} out of Build" in said
    after = project.ledger.executions.get(failed.id)
    assert after.status is Status.FAILED


def test_an_environment_is_stopped_until_something_is_deployed(
    project: Delivered,
) -> None:
    release = project.ledger.releases.current(ENVIRONMENT)

    state = project.data("env", "stop", "production", "-m", "weekend")

    assert state["stopped"] == "ann: weekend"
    assert release and state["current"] == release.digest
    assert project.target.observe() is None
    project.audit()
    checked = project.deliver("env", "check", "production")
    assert checked == f"✓ {ENVIRONMENT} is stopped, by ann: weekend\n"
    assert "stopped by ann: weekend" in project.deliver("env", "ls")
    project.deliver("env", "stop", "production", "-m", "again")
    project.deliver("run", "--local")
    assert project.ledger.environments.get(ENVIRONMENT).stopped is None
    assert (
        project.target.observe()
        == project.ledger.environments.get("production").current
    )


def test_an_environment_is_not_stopped_under_a_rollout(project: Delivered) -> None:
    _, _, end = project.bakes()

    said = project.deliver("env", "stop", "production", "-m", "weekend", code=1)
    project.deliver("stop", "--rollback")

    assert f"'{ENVIRONMENT}' is being changed by" in said
    assert end() == 0


def test_what_has_no_service_is_not_stopped(home: Path, tmp_path: Path) -> None:
    project = Plain.at(tmp_path / "shop")
    assert project.run().status is Status.SUCCEEDED

    said = project.deliver("env", "stop", "production", "-m", "weekend", code=1)

    assert "nothing runs in 'shop/production' that can be stopped" in said
    assert Ledger.open().environments.get(ENVIRONMENT).stopped is None
    project.audit()


def test_what_was_set_right_is_told_to_programs(home: Path, tmp_path: Path) -> None:
    project = Plain.at(tmp_path / "shop")
    left = home / "workspaces" / "left"
    left.mkdir(parents=True)
    (left / "holder").write_text(this_holder().rpartition(":")[0] + ":1")

    assert project.data("reconcile") == ["removed workspace left"]
    assert project.data("reconcile") == []
    assert project.deliver("reconcile") == "nothing to set right\n"
