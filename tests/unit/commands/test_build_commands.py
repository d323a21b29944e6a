from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.build.commands import run_commands

HOSTILE = [
    "$(id)", "`id`", "; id", "| id", "&& id", "\n id", "'", '"', "'\"'", "-rf", "--help",
    "${IFS}", "%0a", "\\", "*", "~", "#{app.commit}", "a b", "\t", "é☃", "!!", "<(id)",
]  # fmt: skip


@pytest.fixture
def build(source: Artifact, job: Job) -> Callable[..., Outputs]:
    def run(*commands: str, **options: Any) -> Outputs:
        return run_commands.fn(source, list(commands), job=job, **options)

    return run


def test_each_command_is_shown_and_its_output_follows(
    build: Callable[..., Outputs], log: list[str]
) -> None:
    build("cat a.txt", "echo done")

    assert log == ["$ cat a.txt", "hello", "$ echo done", "done"]


def test_folder_and_variables_carry_over_from_command_to_command(
    build: Callable[..., Outputs], log: list[str]
) -> None:
    build("cd sub", "X=1; export Y=2", "cat b.txt; echo $X $Y")

    assert log[-2:] == ["there", "1 2"]


def test_the_first_failing_command_ends_the_action_and_is_named(
    build: Callable[..., Outputs], log: list[str]
) -> None:
    with pytest.raises(ActionFailed) as failure:
        build("true", "make() { return 7; }; make all", "echo never")

    assert (
        failure.value.message
        == "'make() { return 7; }; make all' ended with exit code 7"
    )
    assert "never" not in log


def test_a_command_of_many_lines_is_named_by_its_first(
    build: Callable[..., Outputs],
) -> None:
    with pytest.raises(ActionFailed, match=r"^'for x in 1 2; do \.\.\.' ended with"):
        build("for x in 1 2; do\n  exit $x\ndone")


def test_outputs_hold_what_their_patterns_match(
    build: Callable[..., Outputs], tmp_path: Path
) -> None:
    outputs = build("mkdir dist; cp a.txt dist/", outputs={"site": ["dist/**"]})

    outputs.artifacts["site"].unpack(tmp_path / "site")
    assert (tmp_path / "site/dist/a.txt").read_text() == "hello\n"
    assert list(outputs.artifacts) == ["site"]


def test_commands_and_outputs_start_in_the_given_directory(
    build: Callable[..., Outputs], tmp_path: Path
) -> None:
    outputs = build("cp b.txt c.txt", directory="sub", outputs={"c": ["c.txt"]})

    outputs.artifacts["c"].unpack(tmp_path / "c")
    assert (tmp_path / "c/c.txt").read_text() == "there\n"


@pytest.mark.parametrize("directory", ["..", "/etc", "sub/../..", "a.txt", "missing"])
def test_a_directory_that_is_not_in_the_source_is_refused(
    build: Callable[..., Outputs], directory: str
) -> None:
    with pytest.raises(ActionFailed, match="directory"):
        build("true", directory=directory)


def test_more_artifacts_are_found_through_variables(
    build: Callable[..., Outputs], source: Artifact, log: list[str]
) -> None:
    build('cat "$ARTIFACT_MY_LIB/a.txt"', extra={"my-lib": source})

    assert log[-1] == "hello"


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_reaches_the_command_as_it_is(
    build: Callable[..., Outputs], log: list[str], value: str
) -> None:
    build('printf "%s|" "$VALUE"', environment={"VALUE": value})

    assert "\n".join(log[1:]) == f"{value}|"


def test_lines_of_the_output_file_become_variables(
    build: Callable[..., Outputs],
) -> None:
    outputs = build('echo "VERSION=1.2" >> "$DELIVERY_OUTPUT"')

    assert outputs.variables == {"VERSION": "1.2"}


def test_a_secret_reaches_the_command_and_no_log(
    build: Callable[..., Outputs], log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_TOKEN", "correct horse battery")
    check = 'test "$TOKEN" = "correct"" horse battery"'

    build(check, 'set -x; echo "$TOKEN"', secrets={"TOKEN": "env:WORKER_TOKEN"})

    assert "***" in log
    assert "correct horse" not in "\n".join(log)


def test_a_secret_in_an_output_variable_fails_the_action(
    build: Callable[..., Outputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_TOKEN", "correct horse battery")

    with pytest.raises(ActionFailed, match="output variable 'X' holds a secret"):
        build(
            'echo "X=a$TOKEN" >> "$DELIVERY_OUTPUT"',
            secrets={"TOKEN": "env:WORKER_TOKEN"},
        )


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("env:NOT_THERE", "no environment variable 'NOT_THERE'"),
        ("env:PREFECT_API_KEY", "belongs to Prefect"),
        ("env:SHORT", "fewer than 8 characters"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named(
    build: Callable[..., Outputs],
    monkeypatch: pytest.MonkeyPatch,
    reference: str,
    message: str,
) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "correct horse battery")
    monkeypatch.setenv("SHORT", "1234567")

    with pytest.raises(ActionFailed, match=message):
        build("true", secrets={"X": reference})


@pytest.mark.parametrize("name", ["A-B", "1A", "", "A=B", "A\n"])
def test_a_name_that_no_shell_knows_is_refused(
    build: Callable[..., Outputs], name: str
) -> None:
    with pytest.raises(ActionFailed, match="is no name of an environment variable"):
        build("true", environment={name: "x"})


def test_a_variable_is_not_set_twice(
    build: Callable[..., Outputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ActionFailed, match="'DELIVERY_OUTPUT' is set twice"):
        build("true", environment={"DELIVERY_OUTPUT": "/etc/passwd"})


def test_a_stopped_action_says_why(source: Artifact, tmp_path: Path) -> None:
    job = Job(log=lambda line: job.cancel("stopped by ann") if line == "go" else None)

    with pytest.raises(ActionFailed, match=r"^stopped by ann$"):
        run_commands.fn(source, ["echo go", "sleep 600"], job=job)


def test_nothing_of_the_workspace_is_left(
    build: Callable[..., Outputs], tmp_path: Path
) -> None:
    build("mkdir x; touch x/y; chmod 0500 x")

    assert list((tmp_path / "work").iterdir()) == []


def test_the_action_is_an_ordinary_task_in_a_flow_of_anybody(source: Artifact) -> None:
    assert run_commands.name == "build/commands"
    assert run_commands.fn(source, ["true"]) == Outputs()
