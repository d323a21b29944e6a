"""Builds of CodeBuild. The service is a double that really runs the commands."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws import Wire
from codebuild_double import CodeBuild
from polling import until

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.build.codebuild import build_with_codebuild
from prefect_delivery.tasks.rules.codebuild import hold_if_build_succeeds
from prefect_delivery.tasks.test.codebuild import test_with_codebuild as run_test

Make = Callable[[dict[str, str]], Artifact]

SPEC = """
version: 0.2
env: {exported-variables: [VERSION]}
phases:
  build:
    commands:
      - echo "hello $WHO"
      - mkdir -p out
      - cat "$CODEBUILD_SRC_DIR_lib_a/lib.txt" > out/both.txt
      - cat main.txt >> out/both.txt
      - VERSION=1.2
artifacts: {files: ['out/*']}
"""
PLAIN = """
version: 0.2
phases: {build: {commands: ['%s']}}
artifacts:
  files: ['**/*']
  secondary-artifacts: {docs: {files: ['docs/*']}, site: {files: ['main.txt']}}
"""


def build(artifact: Artifact, job: Job, **more: Any) -> Outputs:
    made: Outputs = build_with_codebuild.fn("shop", {"src": artifact}, job=job, **more)
    return made


def text_in(artifact: Artifact, name: str, folder: Path) -> str:
    artifact.unpack(folder)
    return (folder / name).read_text()


def test_a_build_gives_artifact_variables_log_and_reports(
    codebuild: CodeBuild, artifact: Make, job: Job, log: list[str], tmp_path: Path
) -> None:
    codebuild.reports["arn:r"] = {
        "arn": "arn:r",
        "name": "unit",
        "type": "TEST",
        "testSummary": {
            "total": 3,
            "statusCounts": {"SUCCEEDED": 2, "FAILED": 1},
            "durationInNanoSeconds": 1500000000,
        },
    }
    codebuild.reports["arn:c"] = {
        "arn": "arn:c",
        "name": "lines",
        "type": "CODE_COVERAGE",
        "codeCoverageSummary": {"lineCoveragePercentage": 81.25},
    }
    main = artifact({"main.txt": "main\n", "buildspec.yml": SPEC})

    made: Outputs = build_with_codebuild.fn(
        "shop",
        {"lib-a": artifact({"lib.txt": "lib\n"}), "src": main},
        primary_source="src",
        environment_variables='[{"name": "WHO", "value": "shop"}]',
        service_role_arn_override="arn:aws:iam::1:role/builder",
        outputs={"dist": ["out/*"]},
        job=job,
    )

    assert (
        text_in(made.artifacts["dist"], "out/both.txt", tmp_path / "d") == "lib\nmain\n"
    )
    assert made.variables == {"VERSION": "1.2"}
    assert "hello shop" in log
    assert made.summary == "2 passed, 1 failed, 81.2 % covered"
    assert made.reports[0].failures[0]["message"] == "too dear"
    assert codebuild.asked[0]["serviceRoleOverride"] == "arn:aws:iam::1:role/builder"


def test_several_outputs_are_the_secondary_artifacts(
    codebuild: CodeBuild, artifact: Make, job: Job, tmp_path: Path
) -> None:
    source = artifact({"main.txt": "m", "docs/a": "a", "buildspec.yml": PLAIN % "true"})

    made = build(source, job, outputs={"docs": ["**"], "site": ["**"]})

    assert text_in(made.artifacts["docs"], "docs/a", tmp_path / "docs") == "a"
    assert text_in(made.artifacts["site"], "main.txt", tmp_path / "site") == "m"


def test_a_failed_build_names_phase_and_reason(
    codebuild: CodeBuild, artifact: Make, job: Job
) -> None:
    source = artifact({"other.yml": PLAIN % "exit 3"})

    with pytest.raises(ActionFailed, match=r"FAILED in phase BUILD: .*exit status 3"):
        build(source, job, buildspec_override="other.yml")


def test_a_batch_gives_an_artifact_of_each_build(
    codebuild: CodeBuild, artifact: Make, job: Job, log: list[str], tmp_path: Path
) -> None:
    spec = PLAIN % "echo $NAME | tee main.txt"

    made = build(
        artifact({"buildspec.yml": spec}),
        job,
        batch_enabled=True,
        outputs={"one": ["main.txt"], "two": ["main.txt"]},
    )

    assert text_in(made.artifacts["two"], "main.txt", tmp_path / "two") == "two\n"
    assert {"one", "two"} <= set(log)


def test_combining_keeps_the_projects_own_settings_of_batches(
    codebuild: CodeBuild, artifact: Make, job: Job
) -> None:
    source = artifact({"buildspec.yml": PLAIN % "true"})

    build(source, job, batch_enabled=True, combine_artifacts=True)

    assert codebuild.asked[0]["buildBatchConfigOverride"] == {
        "serviceRole": "r",
        "combineArtifacts": True,
    }


@pytest.mark.parametrize("minutes", [0, 6])
def test_a_lost_answer_starts_no_second_build(
    codebuild: CodeBuild, artifact: Make, job: Job, wire: Wire, minutes: int
) -> None:
    source = artifact({"buildspec.yml": PLAIN % "true"})
    # As often as botocore itself asks.
    wire.cuts = ["StartBuild"] * 4
    codebuild.forgets_after = 4 if minutes > 5 else None

    build(source, job)

    assert len(codebuild.builds) == 1
    assert len(codebuild.asked) == 4


def test_the_next_worker_goes_on_with_the_build(
    codebuild: CodeBuild, artifact: Make, job: Job, notes: Any, tmp_path: Path
) -> None:
    source = artifact(
        {"buildspec.yml": PLAIN % f"until [ -e {tmp_path}/go ]; do sleep .1; done"}
    )
    worker = os.fork()
    if worker == 0:
        build(source, job)
        os._exit(0)
    until(lambda: "shop:b1" in codebuild.processes)
    os.kill(worker, 9)
    os.waitpid(worker, 0)
    codebuild.tokens.clear()
    (tmp_path / "go").touch()

    build(source, job)

    assert list(codebuild.builds) == ["shop:b1"]


@pytest.mark.parametrize("batch", [False, True])
def test_a_stopped_action_stops_its_build_whatever_answer_is_lost(
    codebuild: CodeBuild, artifact: Make, job: Job, batch: bool, wire: Wire
) -> None:
    wire.each = True
    source = artifact({"buildspec.yml": PLAIN % "sleep 60"})
    failures: list[str] = []

    def run() -> None:
        with pytest.raises(ActionFailed) as failed:
            build(source, job, batch_enabled=batch)
        failures.append(failed.value.message)

    action = threading.Thread(target=run)
    action.start()
    until(lambda: len(codebuild.processes) == (2 if batch else 1))
    job.cancel("stopped by Ann")
    action.join()

    assert failures == ["stopped by Ann"]
    until(lambda: {b["buildStatus"] for b in codebuild.builds.values()} == {"STOPPED"})
    assert len(codebuild.builds) == (2 if batch else 1)
    changes = (
        ["StartBuildBatch", "StopBuildBatch"] if batch else ["StartBuild", "StopBuild"]
    )
    assert {*changes} <= wire.lost


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"combine_artifacts": True}, "needs batch_enabled"),
        ({"primary_source": "x"}, "none of the inputs"),
        ({"environment_variables": "{"}, "environment_variables"),
        ({"environment_variables": [{"name": "A"}]}, "a name and a value"),
        ({"outputs": {str(n): ["**"] for n in range(6)}}, "at most 5"),
    ],
)
def test_what_does_not_fit_starts_nothing(
    codebuild: CodeBuild, artifact: Make, job: Job, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ActionFailed, match=said):
        build(artifact({"buildspec.yml": "x"}), job, **more)

    assert codebuild.builds == {}


def test_a_missing_project_is_said(
    codebuild: CodeBuild, artifact: Make, job: Job
) -> None:
    with pytest.raises(ActionFailed, match="ResourceNotFoundException: no project x"):
        build_with_codebuild.fn("x", {"src": artifact({"a": "b"})}, job=job)


def test_as_test_and_as_rule(codebuild: CodeBuild, artifact: Make, job: Job) -> None:
    source = artifact({"buildspec.yml": PLAIN % "exit 1"})

    with pytest.raises(ActionFailed, match="FAILED"):
        run_test.fn("shop", {"src": source}, job=job)
    job.key = "e1/Build/before_entry:rule/1"
    with pytest.raises(ActionFailed, match="FAILED"):
        hold_if_build_succeeds.fn("shop", {"src": source}, job=job)
