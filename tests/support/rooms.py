"""Which worker of pytest-xdist runs which tests.

A worker keeps the servers that it has started until it ends. It is therefore given whole
files, one room (a folder of tests) after another; the long ones come first, so that the
workers end together.
"""

from pathlib import PurePosixPath

from xdist.scheduler import (  # type: ignore[import-untyped]  # no py.typed
    LoadScopeScheduling,
)
from xdist.workermanage import (  # type: ignore[import-untyped]  # no py.typed
    WorkerController,
)

LONG = {
    "tests/faults/test_artifact_store_killed.py": 25,
    "tests/faults/test_cloudformation_killed.py": 15,
    "tests/faults/test_ecs_killed.py": 12,
    "tests/faults/test_prefect_deployment_killed.py": 35,
    "tests/faults/test_row_01_killed_at_any_write.py": 20,
    "tests/faults/test_row_03_killed_while_going_back.py": 20,
    "tests/faults/test_row_04_server_down.py": 45,
    "tests/faults/test_row_21_twenty_processes.py": 40,
    "tests/faults/test_row_28_restarts_while_waiting.py": 60,
    "tests/faults/test_row_30_clock_jumps.py": 15,
    "tests/faults/test_row_36_partial_success.py": 35,
    "tests/faults/test_row_37_stopped_at_each_step.py": 25,
    "tests/integration/aws/test_artifacts_in_s3.py": 20,
    "tests/integration/aws/test_ecs.py": 60,
    "tests/integration/deployed/test_deployed_end.py": 85,
    "tests/integration/deployed/test_deployed_pipeline.py": 25,
    "tests/integration/deployed/test_run_on_a_server.py": 70,
    "tests/integration/deployed/test_waiting.py": 90,
    "tests/integration/deployments/test_deploy_command.py": 30,
    "tests/integration/deployments/test_notifications.py": 20,
    "tests/integration/deployments/test_triggered_runs.py": 60,
    "tests/integration/examples/test_examples.py": 60,
    "tests/integration/host/test_host_rollouts.py": 30,
    "tests/integration/packaging/test_clean_install.py": 60,
    "tests/integration/pools/test_docker_pool.py": 60,
    "tests/integration/team/test_team_installation.py": 150,
    "tests/integration/worker/test_worker_ends.py": 70,
    "tests/integration/worker/test_worker_fallback.py": 35,
    "tests/integration/worker/test_worker_runs.py": 90,
}
"""Seconds that a file takes, where it is many. Only the order matters."""
USUAL = 5


class ByRoom(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a worker the next file of its room; then a room that nobody is in.

    When there is none, it helps another worker with the longest file that is left.
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        taken = {_room(file) for file in self.assigned_work[node]}
        others = {
            _room(file)
            for other, files in self.assigned_work.items()
            for file in files
            if other is not node
        }
        left: dict[str, int] = {}
        for file in self.workqueue:
            left[_room(file)] = left.get(_room(file), 0) + LONG.get(file, USUAL)

        def merit(file: str) -> tuple[bool, bool, int, int]:
            room = _room(file)
            free = room not in others
            seconds = LONG.get(file, USUAL)
            return room in taken, free, left[room] if free else 0, seconds

        self.workqueue.move_to_end(max(self.workqueue, key=merit), last=False)
        super()._assign_work_unit(node)


def _room(file: str) -> str:
    return str(PurePosixPath(file).parent)
