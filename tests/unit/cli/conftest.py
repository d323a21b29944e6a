import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pexpect
import pytest
from warm_commands import deliver

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import ActionRun, Execution, StageRun, Status

PROGRAM = str(Path(sys.executable).with_name("deliver"))
GIT = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
START = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A time that many seconds after the start of the execution."""
    return START + timedelta(seconds=seconds)


def attempt(
    status: Status,
    started: float,
    ended: float | None = None,
    *,
    number: int = 1,
    error: str | None = None,
    summary: str | None = None,
    link: str | None = None,
    retryable: bool = True,
) -> ActionRun:
    return ActionRun(
        attempt=number,
        status=status,
        started=at(started),
        ended=None if ended is None else at(ended),
        error=error,
        summary=summary,
        link=link,
        retryable=retryable,
    )


def stage_run(
    status: Status, started: float, ended: float | None = None, **actions: ActionRun
) -> StageRun:
    return StageRun(
        status=status,
        started=at(started),
        ended=None if ended is None else at(ended),
        actions={name: (run,) for name, run in actions.items()},
    )


@pytest.fixture(scope="session")
def shop() -> Pipeline:
    """A definition in normal form."""
    return Pipeline.model_validate(
        {
            "pipeline": "shop",
            "stages": {
                "Source": {"needs": [], "actions": {"app": {"uses": "source/git"}}},
                "Build": {
                    "needs": ["Source"],
                    "actions": {
                        "unit": {"uses": "test/commands"},
                        "package": {"uses": "build/commands"},
                    },
                },
                "Production": {
                    "needs": ["Build"],
                    "actions": {
                        "ok": {"uses": "approval/manual"},
                        "deploy": {"uses": "deploy/environment", "run_order": 2},
                    },
                },
            },
        }
    )


@pytest.fixture
def running(shop: Pipeline) -> Execution:
    """An execution whose tests run."""
    return Execution(
        id="0" * 32,
        pipeline="shop",
        number=42,
        definition=shop,
        status=Status.IN_PROGRESS,
        started=START,
        trigger="push",
        started_by="ann@example.org",
        stages={
            "Source": stage_run(
                Status.SUCCEEDED,
                0,
                2,
                app=attempt(Status.SUCCEEDED, 0, 2, summary="3c1f0aa hello"),
            ),
            "Build": stage_run(
                Status.IN_PROGRESS,
                2,
                unit=attempt(Status.IN_PROGRESS, 2),
                package=attempt(Status.SUCCEEDED, 2, 3),
            ),
        },
    )


@pytest.fixture
def waiting(shop: Pipeline, running: Execution) -> Execution:
    """An execution that waits for an approval."""
    return Execution(
        id=running.id,
        pipeline="shop",
        number=42,
        definition=shop,
        status=Status.WAITING,
        started=START,
        started_by="ann",
        stages={
            "Source": running.stages["Source"],
            "Build": stage_run(
                Status.SUCCEEDED,
                2,
                13,
                unit=attempt(Status.SUCCEEDED, 2, 13, summary="412 passed"),
                package=attempt(Status.SUCCEEDED, 2, 3),
            ),
            "Production": stage_run(
                Status.IN_PROGRESS,
                13,
                ok=attempt(Status.WAITING, 13, summary="Is staging fine?"),
            ),
        },
    )


@pytest.fixture
def failed(shop: Pipeline, running: Execution) -> Execution:
    """An execution whose tests failed, at the second attempt."""
    first = attempt(Status.FAILED, 2, 5, error="2 failed, 410 passed")
    second = attempt(Status.FAILED, 10, 13, number=2, error="1 failed, 411 passed")
    package = attempt(Status.SUCCEEDED, 2, 3)
    return Execution(
        id=running.id,
        pipeline="shop",
        number=42,
        definition=shop,
        status=Status.FAILED,
        reason="Build / unit: 1 failed, 411 passed",
        started=START,
        ended=at(13),
        started_by="ann",
        stages={
            "Source": running.stages["Source"],
            "Build": StageRun(
                status=Status.FAILED,
                reason="unit: 1 failed, 411 passed",
                started=at(2),
                ended=at(13),
                actions={"unit": (first, second), "package": (package,)},
            ),
        },
    )


@pytest.fixture
def now() -> datetime:
    return at(72)


DEFINITION = """\
pipeline: shop
on: {push: {branches: [main]}}
variables: {greeting: {default: hello}, region: {description: Where.}}
environments:
  production: {kind: host, root: ./site}
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: ".", branch: main}}
  Build:
    actions:
      unit:
        uses: build/commands
        with: {commands: ["echo one", "echo two"]}
      package:
        uses: build/commands
        with:
          commands: ["mkdir dist", 'echo "$GREETING" > dist/index.html']
          environment: {GREETING: "#{variables.greeting}"}
        outputs: {site: ["dist/**"]}
  Release:
    actions:
      ok: {uses: approval/manual, with: {message: "Is it fine?"}}
      check:
        uses: build/commands
        run_order: 2
        inputs: site
        with: {commands: ["cat dist/index.html", "! grep bad dist/index.html"]}
"""


@dataclass(frozen=True)
class Project:
    """A git repository with a definition, and a home of its own."""

    folder: Path
    program: str = PROGRAM

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "PREFECT_DELIVERY_HOME": str(self.folder / ".home"),
            "PREFECT_DELIVERY_USER": "ann",
        }

    def deliver(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the command here, without a terminal."""
        return deliver(words, cwd=self.folder, env=self.environment | more)

    def spawn(self, *words: str, **more: str) -> "pexpect.spawn[str]":
        """Run the installed command in a terminal."""
        return pexpect.spawn(
            PROGRAM,
            list(words),
            cwd=str(self.folder),
            env=self.environment | more,
            encoding="utf-8",
            dimensions=(30, 100),
            timeout=60,
        )

    def commit(self, message: str = "first") -> None:
        for words in (["add", "."], ["commit", "-qm", message]):
            subprocess.run([*GIT, *words], cwd=self.folder, check=True)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    (folder / "delivery.yaml").write_text(DEFINITION)
    subprocess.run([*GIT, "init", "-qb", "main"], cwd=folder, check=True)
    (folder / ".gitignore").write_text(".home/\n")
    Project(folder).commit()
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    shutil.copytree(template, tmp_path / "shop")
    return Project(tmp_path / "shop")
