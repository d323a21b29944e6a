"""The jobs of `dagster.py`, run by Dagster's own Python."""

import os
import subprocess
import sys
from pathlib import Path

from dagster import DagsterInstance, In, Nothing, Out, graph, in_process_executor, op

STEPS = Path(os.environ["STEPS"])


def made(name, *command, first=False):
    @op(name=name, ins={} if first else {"after": In(Nothing)}, out=Out(Nothing))
    def execute(context):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        context.log.info(done.stdout + done.stderr)
        done.check_returncode()

    return execute


def delivery():
    source = made("source", STEPS / "source.sh", first=True)
    build = made("build", STEPS / "build.sh")
    tests = [made(kind, STEPS / "test.sh", kind) for kind in ("unit", "integration")]
    deploy = made("deploy", STEPS / "deploy.sh")

    @graph
    def all_of_it():
        built = build(source())
        deploy([test(built) for test in tests])

    return all_of_it


def actions(count, parallel):
    ops = [made(f"a{n}", "/bin/true", first=parallel or n == 0) for n in range(count)]

    @graph
    def all_of_it():
        if parallel:
            for each in ops:
                each()
            return
        last = ops[0]()
        for each in ops[1:]:
            last = each(last)

    return all_of_it


if __name__ == "__main__":
    kind, *count = sys.argv[1:]
    made_graph = actions(int(count[0]), kind == "parallel") if count else delivery()
    job = made_graph.to_job(name="job", executor_def=in_process_executor)
    ended = job.execute_in_process(instance=DagsterInstance.get())
    sys.exit(0 if ended.success else 1)
