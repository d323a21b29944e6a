"""Builds of Jenkins, on a double of it: no package registry has the server itself."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jenkins_double import TOKEN, USER, JenkinsDouble, jenkins

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.build import jenkins_build
from prefect_delivery.tasks.build.jenkins import build_with_jenkins
from prefect_delivery.tasks.test.jenkins import test_with_jenkins as act_as_test

Making = Callable[[dict[str, str]], Artifact]
Building = Callable[..., Outputs]
FETCH = (
    'python3 -c "import os, urllib.request as u;'
    " u.urlretrieve(os.environ['APP_URL'], 'app.zip')\""
    " && python3 -m zipfile -e app.zip src && cat src/hello.txt"
    " && mkdir dist && cp src/hello.txt dist"
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JenkinsDouble]:
    monkeypatch.setattr(jenkins_build, "INTERVAL", 0.02)
    monkeypatch.setenv("JENKINS_TOKEN", TOKEN)
    double = JenkinsDouble()
    with jenkins(double):
        yield double


@pytest.fixture
def build(server: JenkinsDouble, job: Job) -> Building:
    def carry_out(
        artifacts: dict[str, Artifact] = {}, action: object = None, **more: object
    ) -> Outputs:
        given = {"api_token": "env:JENKINS_TOKEN", "project_name": "shop", "job": job}
        task = action or build_with_jenkins
        found: Outputs = task.fn(  # type: ignore[attr-defined]  # either of two tasks
            server.address,
            username=USER,
            artifacts=artifacts,
            **{**given, **more},
        )
        return found

    return carry_out


def test_a_build_fetches_the_artifact_and_leaves_what_it_has_archived(
    server: JenkinsDouble,
    build: Building,
    bucket: str,
    artifact: Making,
    log: list[str],
    tmp_path: Path,
) -> None:
    server.script = FETCH

    done = build(
        {"app": artifact({"hello.txt": "hello\n"})}, outputs={"site": ["dist/**"]}
    )

    done.artifacts["site"].unpack(tmp_path / "site")
    assert (tmp_path / "site/dist/hello.txt").read_text() == "hello\n"
    assert "hello" in log
    assert done.variables["BuildNumber"] == "1"
    assert done.summary == "shop #1"
    assert not [path for path in server.paths if "Signature" in path]


def test_a_test_takes_the_reports_of_a_failed_build(
    server: JenkinsDouble, build: Building
) -> None:
    server.script, server.report = (
        "exit 1",
        {
            "passCount": 4,
            "failCount": 1,
            "skipCount": 2,
        },
    )

    with pytest.raises(ActionFailed, match="shop #1 is FAILURE") as failed:
        build(action=act_as_test)

    assert isinstance(failed.value.outputs, Outputs)
    (report,) = failed.value.outputs.reports
    assert (report.passed, report.failed, report.skipped) == (4, 1, 2)


def test_a_start_whose_answer_is_lost_builds_once(
    server: JenkinsDouble, build: Building, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefect_delivery.actions.PAUSES", (0.01,))
    server.cut = 1

    build()

    assert len(server.started) == 1


def test_another_worker_goes_on_with_the_build(
    server: JenkinsDouble, build: Building
) -> None:
    build()
    server.forgetful = True

    done = build()

    assert len(server.started) == 1
    assert done.variables["BuildNumber"] == "1"


def test_a_job_without_the_key_is_not_built_again(
    server: JenkinsDouble, build: Building
) -> None:
    server.declared = ()
    build()

    with pytest.raises(ActionFailed):
        build()

    assert len(server.started) == 1


def test_a_stopped_action_stops_the_build(
    server: JenkinsDouble, build: Building, job: Job, log: list[str]
) -> None:
    server.script = "echo begun; sleep 600"

    def stop() -> None:
        while "begun" not in log:
            job.cancelled.wait(0.01)
        job.cancel("enough")

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(ActionFailed, match="enough"):
        build()
    stopping.join()

    assert [each.result for each in server.builds] == ["ABORTED"]


def test_a_stopped_action_takes_the_build_out_of_the_queue(
    server: JenkinsDouble, build: Building, job: Job
) -> None:
    server.held = True
    job.cancel("enough")

    with pytest.raises(ActionFailed, match=r"enough|cancelled"):
        build()

    assert server.cancelled == {1}
    assert server.builds == []


def test_a_server_that_is_ill_for_a_while_is_waited_for(
    server: JenkinsDouble, build: Building
) -> None:
    server.ill = 2

    assert build().summary == "shop #1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"parameters": {"colour": "red"}}, "has no parameter 'colour'"),
        ({"project_name": "shoop"}, "has no job 'shoop'"),
        ({"api_token": "env:PATH"}, "401"),
    ],
)
def test_what_cannot_be_built_is_said(
    build: Building, given: dict[str, object], said: str, server: JenkinsDouble
) -> None:
    with pytest.raises(ActionFailed, match=said):
        build(**given)

    assert server.started == []
