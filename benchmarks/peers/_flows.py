"""What a user writes by hand on Prefect: a task per action, with a subprocess in it."""

import os
import subprocess
import sys
from pathlib import Path

from prefect import flow, task

STEPS = Path(os.environ["STEPS"])


def execute(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stdout:
        print(done.stdout)
    if done.stderr:
        print(done.stderr)
    done.check_returncode()


@task
def source() -> None:
    execute(STEPS / "source.sh")


@task
def build() -> None:
    execute(STEPS / "build.sh")


@task
def run_tests(kind: str) -> None:
    execute(STEPS / "test.sh", kind)


@task
def deploy() -> None:
    execute(STEPS / "deploy.sh")


@task
def action(number: int) -> None:
    execute("/bin/true")


@flow(log_prints=True)
def delivery() -> None:
    source()
    build()
    for test in [run_tests.submit(kind) for kind in ("unit", "integration")]:
        test.result()
    deploy()


@flow(log_prints=True)
def sequence(count: int) -> None:
    for number in range(count):
        action(number)


@flow(log_prints=True)
def parallel(count: int) -> None:
    for future in [action.submit(number) for number in range(count)]:
        future.result()


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    flows = {each.fn.__name__: each for each in (delivery, sequence, parallel)}
    flows[name](*map(int, arguments))
