"""Real shells carry out buildspecs."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.build.buildspec import run_buildspec

Run = Callable[..., Outputs]


@pytest.fixture
def run(source_of: Callable[[dict[str, str]], Artifact], job: Job) -> Run:
    """Runs a buildspec on files by path."""

    def run(text: str, files: dict[str, str] | None = None, **options: Any) -> Outputs:
        source = source_of({"buildspec.yml": text, **(files or {})})
        return run_buildspec.fn(source, **{"job": job, **options})

    return run


@pytest.fixture
def fails(run: Run) -> Callable[..., ActionFailed]:
    def fails(*args: Any, **options: Any) -> ActionFailed:
        with pytest.raises(ActionFailed) as caught:
            run(*args, **options)
        return caught.value

    return fails


def content(artifact: Artifact, folder: Path) -> dict[str, str]:
    artifact.unpack(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def phases(log: list[str]) -> list[str]:
    found = (re.match(r"Phase complete: (\w+) State: (\w+)", line) for line in log)
    return [f"{match[1]} {match[2]}" for match in found if match]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_commands_share_one_shell_from_phase_to_phase(
    run: Run, log: list[str], shell: str
) -> None:
    outputs = run(
        f"version: 0.2\nenv: {{shell: {shell}, exported-variables: [OUT]}}\n"
        "phases:\n"
        "  install: {commands: ['f() { echo \"f:$1\"; }', mkdir a; cd a, X=1]}\n"
        "  build: {commands: ['f ${PWD##*/}$X', sleep 60 &, exit 0, 'echo again$X']}\n"
        "  post_build: {commands: ['OUT=$(basename $PWD)']}\n"
    )

    assert {"f:a1", "again1"} <= set(log)
    assert outputs.variables == {"OUT": "a"}


def test_each_command_of_version_0_1_has_its_own_shell(
    run: Run, log: list[str]
) -> None:
    run(
        "version: 0.1\nphases: {build: {commands: [mkdir a; cd a; X=1, "
        "'echo \"in ${PWD##*/} with $X\"']}}\n"
    )

    assert "in source with " in log


def test_a_failed_command_ends_its_phase_but_not_what_must_come_after(
    fails: Callable[..., ActionFailed], log: list[str]
) -> None:
    error = fails(
        "version: 0.2\nphases:\n"
        "  build:\n    commands: [echo one, 'exit 7', echo never]\n"
        "    finally: [echo finally]\n"
        "  post_build: {commands: ['echo succeeding=$CODEBUILD_BUILD_SUCCEEDING']}\n"
    )

    assert error.message == "BUILD: 'exit 7' ended with exit code 7"
    assert "never" not in log
    assert {"finally", "succeeding=0"} <= set(log)
    assert phases(log) == ["BUILD FAILED", "POST_BUILD SUCCEEDED"]


@pytest.mark.parametrize(
    ("phase", "on_failure", "then"),
    [
        ("install", "", ["INSTALL FAILED"]),
        (
            "install",
            "on-failure: CONTINUE, ",
            ["INSTALL FAILED", "POST_BUILD SUCCEEDED"],
        ),
        ("build", "", ["BUILD FAILED", "POST_BUILD SUCCEEDED"]),
        ("build", "on-failure: ABORT, ", ["BUILD FAILED"]),
        ("build", "on-failure: CONTINUE, ", ["BUILD FAILED", "POST_BUILD SUCCEEDED"]),
    ],
)
def test_what_follows_a_failed_phase(
    fails: Callable[..., ActionFailed],
    log: list[str],
    phase: str,
    on_failure: str,
    then: list[str],
) -> None:
    fails(
        f"version: 0.2\nphases: {{{phase}: {{{on_failure}commands: ['false']}}, "
        "post_build: {commands: ['true']}}\n"
    )

    assert phases(log) == then


def test_a_build_is_made_again_on_a_fresh_copy_of_the_source(
    run: Run, fails: Callable[..., ActionFailed], log: list[str], tmp_path: Path
) -> None:
    counter = tmp_path / "counter"
    text = (
        "version: 0.2\nphases: {build: {on-failure: 'RETRY-2-time.?out', commands: ["
        f"test ! -e old, touch old, echo x >> {counter}, "
        f"'test $(wc -l < {counter}) = 3 || {{ echo SAYS; false; }}']}}}}\n"
    )

    run(text.replace("SAYS", "a timeout"))
    assert counter.read_text() == "x\nx\nx\n"
    counter.unlink()
    fails(text.replace("SAYS", "a crash"))
    assert counter.read_text() == "x\n"
    assert "the build is made again: 2 of 2" in log


def test_variables_are_taken_as_they_are_and_in_their_order(
    run: Run, log: list[str]
) -> None:
    run(
        "version: 0.2\nenv: {variables: {A: $HOME, B: spec, CODEBUILD_SRC_DIR: x}}\n"
        "phases: {build: {commands: ['echo \"$A|$B|$CODEBUILD_RESOLVED_SOURCE_VERSION\"',"
        '\'test "$CODEBUILD_SRC_DIR" = "$PWD"\']}}\n',
        environment={"B": "given"},
        revision="abc",
    )

    assert "$HOME|given|abc" in log


def test_secrets_are_hidden_and_not_exported(
    run: Run, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_TOKEN", "hunter2hunter2")

    outputs = run(
        "version: 0.2\nenv: {exported-variables: [T, AWS_X, OK]}\n"
        "phases: {build: {commands: ['echo $T', OK=1, export AWS_X=1]}}\n",
        secrets={"T": "env:OUR_TOKEN"},
    )

    assert outputs.variables == {"OK": "1"}
    assert "***" in log
    assert not any("hunter2" in line for line in log)


def test_artifacts_are_what_the_patterns_say(run: Run, tmp_path: Path) -> None:
    files = {"out/a.txt": "a", "out/s/b.txt": "b", "out/s/c.log": "c", "doc/d.md": "d"}
    text = (
        "version: 0.2\nphases: {build: {commands: ['export SUB=s', ln -s a.txt out/l]}}\n"
        "artifacts:\n  files: ['**/*']\n  base-directory: ou*\n  exclude-paths: '**/*.log'\n"
        "  secondary-artifacts:\n"
        "    flat: {files: ['out/**/*.txt', out/$SUB/c.log], discard-paths: yes}\n"
        "    docs: {files: [doc], name: docs-$SUB}\n"
    )

    single = run(text, files, outputs={"any": ["**"]})
    several = run(text, files, outputs={"flat": ["**"], "docs": ["**/*.md"]})

    first = content(single.artifacts["any"], tmp_path / "1")
    assert first == {"a.txt": "a", "l": "a", "s/b.txt": "b"}
    flat = content(several.artifacts["flat"], tmp_path / "2")
    assert flat == {"a.txt": "a", "b.txt": "b", "c.log": "c"}
    assert content(several.artifacts["docs"], tmp_path / "3") == {"doc/d.md": "d"}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ("missing/*", "no file matches the artifact's paths: missing/*"),
        ("../../*", "leads out of the source"),
        ("/etc/passwd", "leads out of the source"),
    ],
)
def test_artifacts_that_cannot_be_had_fail_the_build(
    fails: Callable[..., ActionFailed], files: str, says: str
) -> None:
    error = fails(
        "version: 0.2\nphases: {build: {commands: ['true']}}\n"
        f"artifacts: {{files: ['{files}']}}\n",
        outputs={"app": ["**"]},
    )

    assert says in error.message


def test_links_out_of_the_source_are_left_out(run: Run, tmp_path: Path) -> None:
    outputs = run(
        "version: 0.2\nphases: {build: {commands: [ln -s /etc/passwd p, touch q]}}\n"
        "artifacts: {files: [p, q]}\n",
        outputs={"app": ["**"]},
    )

    assert content(outputs.artifacts["app"], tmp_path / "1") == {"q": ""}


def test_reports_are_read_also_when_the_build_fails(
    fails: Callable[..., ActionFailed], log: list[str]
) -> None:
    error = fails(
        "version: 0.2\nphases: {build: {commands: ['false']}}\n"
        "reports: {unit: {files: ['*.xml'], base-directory: r}, none: {files: nothing}}\n",
        {"r/a.xml": '<testsuite><testcase name="x"/></testsuite>', "r/b.xml": "<b/>"},
    )

    assert isinstance(error.outputs, Outputs)
    assert [report.name for report in error.outputs.reports] == ["unit/a.xml"]
    assert error.outputs.summary == "1 passed"
    assert "report group none: no file matches nothing" in log


def test_a_cache_comes_back_under_its_key_or_one_that_begins_like_it(
    run: Run, log: list[str]
) -> None:
    text = (
        "version: 0.2\nphases: {build: {commands: ['cat kept/x || :', mkdir -p kept, "
        "'echo from-$(cat lock) > kept/x']}}\n"
        "cache: {key: k-$(codebuild-hash-files lock), fallback-keys: [k-], "
        "paths: ['kept/**/*', /root/.m2/**/*]}\n"
    )

    run(text, {"lock": "1"})
    run(text, {"lock": "2"})
    run(text, {"lock": "2"})

    assert [line for line in log if line.startswith("from-")] == ["from-1", "from-2"]
    assert sum(line.startswith("cache saved") for line in log) == 2


def test_a_runtime_must_be_there(
    run: Run, fails: Callable[..., ActionFailed], log: list[str]
) -> None:
    text = (
        "version: 0.2\nphases: {install: {runtime-versions: {python: %s}}, "
        "build: {commands: ['true']}}\n"
    )

    run(text % "1.4")
    assert any("is wanted, but this is used: Python 3" in line for line in log)
    assert "python 1.4 is wanted" in fails(text % "1.4", runtimes="exact").message
    missing = fails(
        text.replace("python", "golang") % "1", environment={"PATH": "/bin"}
    )
    assert missing.message == "runtime golang 1 is wanted, and there is none"


def test_what_cannot_be_run_here_is_refused(
    fails: Callable[..., ActionFailed],
) -> None:
    windows = fails("version: 0.2\nenv: {shell: cmd.exe}\nphases: {build: }\n")
    stranger = fails("version: 0.2\nrun-as: nobody-knows\nphases: {build: }\n")
    batch = fails("version: 0.2\nbatch: {build-list: [{identifier: a}]}\n")
    steps = fails("version: 0.2\nphases: {build: {steps: [{uses: a/b@v1}]}}\n")
    wrong = fails("version: 0.2\n")
    missing = fails("version: 0.2\n", buildspec="other.yml")

    assert "needs Windows" in windows.message
    assert "run-as" in stranger.message
    assert "actions of GitHub" in steps.message
    assert batch.hint == "set 'batch: true'"
    assert "buildspec.yml:1:1: a buildspec needs 'phases'" in wrong.message
    assert "no buildspec 'other.yml'" in missing.message


BATCH = """\
version: 0.2
batch:
  fast-fail: %s
  build-graph:
    - {identifier: lib, env: {variables: {NAME: lib}}}
    - {identifier: app, depend-on: [lib], env: {variables: {NAME: app}}}
    - {identifier: bad, ignore-failure: %s, env: {variables: {NAME: 'no/such/name'}}}
    - {identifier: late, depend-on: [bad], env: {variables: {NAME: late}}}
phases:
  build: {commands: ['echo "$CODEBUILD_BATCH_BUILD_IDENTIFIER" > "$NAME"']}
artifacts: {files: ['[abl]*'], exclude-paths: buildspec.yml}
"""


def test_builds_of_a_batch_run_in_their_order_and_leave_their_artifacts(
    run: Run, tmp_path: Path
) -> None:
    text = BATCH % ("false", "true")
    together = run(text, batch=True, outputs={"all": ["**"]})
    single = run(text, batch=True, outputs={"app": ["**"], "lib": ["**"]})

    assert content(together.artifacts["all"], tmp_path / "1") == {
        "app": "app\n",
        "lib": "lib\n",
        "late": "late\n",
    }
    assert content(single.artifacts["app"], tmp_path / "2") == {"app": "app\n"}


def test_a_failed_build_fails_its_batch_and_what_depends_on_it(
    fails: Callable[..., ActionFailed], log: list[str]
) -> None:
    error = fails(BATCH % ("false", "false"), batch=True)

    assert error.message.startswith("2 of 4 builds failed: bad (BUILD: ")
    assert "[late] is not run: a build before it failed" in log
    assert "build app SUCCEEDED" in log


def test_fast_fail_stops_the_builds_that_still_run(
    fails: Callable[..., ActionFailed], log: list[str]
) -> None:
    error = fails(
        "version: 0.2\nbatch: {fast-fail: true, build-list: ["
        "{identifier: a, env: {variables: {C: sleep 600}}}, "
        "{identifier: b, env: {variables: {C: 'false'}}}, "
        "{identifier: c, env: {variables: {C: touch made}}}]}\n"
        "phases: {build: {commands: [$C]}}\n",
        batch=True,
    )

    assert "3 of 3 builds failed" in error.message
    assert "build c FAILED: was not run" in log


def test_a_fan_out_shares_out_the_tests(run: Run, log: list[str]) -> None:
    run(
        "version: 0.2\nbatch: {build-fanout: {parallelism: 2}}\n"
        "phases: {build: {commands: [\"codebuild-tests-run --test-command 'echo ran' "
        '--files-search \\"codebuild-glob-search \'t/**/*.py\'\\""]}}\n',
        {"t/a.py": "", "t/b c.py": "", "t/s/d.py": ""},
        batch=True,
    )

    assert {line for line in log if "] ran " in line} == {
        "[build0] ran t/a.py t/s/d.py",
        "[build1] ran t/b c.py",
    }


def test_more_sources_have_folders_of_their_own(
    run: Run, log: list[str], tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/x").write_text("from more\n")

    run(
        "version: 0.2\nphases: {build: {commands: [cat $CODEBUILD_SRC_DIR_More/x]}}\n",
        extra={"More": Artifact.of(tmp_path / "more")},
    )

    assert "from more" in log


def test_a_build_ends_when_its_time_is_over_and_when_it_is_stopped(
    fails: Callable[..., ActionFailed], job: Job
) -> None:
    text = "version: 0.2\nphases: {build: {commands: [sleep 600]}}\n"

    over = fails(text, timeout=0.01)
    job.cancel("no longer wanted")
    stopped = fails(text)

    assert "did not end within" in over.message
    assert stopped.message == "no longer wanted"
