"""Commands that are forked say and do what the program does."""

import subprocess
from pathlib import Path

import pytest
from warm_commands import PROGRAM, deliver

from tests.unit.cli.conftest import Project


@pytest.mark.parametrize(
    ("words", "code"),
    [(["validate"], 0), (["plan", "-o", "json"], 0), (["validate", "x.yaml"], 2)],
)
def test_a_forked_command_is_like_the_program(
    project: Project, words: list[str], code: int
) -> None:
    program = subprocess.run(
        [PROGRAM, *words],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    forked = deliver(words, cwd=project.folder, env=project.environment)

    assert forked.returncode == program.returncode == code
    assert forked.stdout == program.stdout
    assert forked.stderr == program.stderr


def test_each_has_an_environment_of_its_own(project: Project, tmp_path: Path) -> None:
    nowhere = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    homes = [{"PREFECT_HOME": str(tmp_path / name)} for name in ("one", "two")]

    given = ("-v", "region=eu")
    asked = [project.deliver("run", *given, **each, **nowhere) for each in homes]
    local = project.deliver("run", "--local", "--no-wait-approval", *given)

    assert all("at http://127.0.0.1:9/api does not" in each.stderr for each in asked)
    assert (tmp_path / "one").exists() and (tmp_path / "two").exists()
    assert local.returncode == 5, local.stderr


def test_one_that_takes_too_long_is_killed(project: Project) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        deliver(
            ["server", "--port", "0"],
            cwd=project.folder,
            env=project.environment,
            timeout=0.2,
        )
