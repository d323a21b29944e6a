"""The task that runs a deployment: in what ways it ends, on a real worker."""

from uuid import UUID, uuid4

import pytest
from deployed import until
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import State

from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.tasks.invoke.prefect_deployment import run_deployment


class Lines(list[str]):
    """What a job has logged."""

    def job(self) -> Job:
        return Job(key=uuid4().hex, log=self.append)


def state_of(lines: Lines) -> State:
    """The state of the run that the log names."""
    (run,) = [line.rpartition("/")[2] for line in lines if line.startswith("run ")]
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(run)).state
    assert state
    return state


def test_a_second_attempt_waits_for_the_run_of_the_first(orders: str) -> None:
    job = Lines().job()

    first = run_deployment.fn(orders, job=job)
    second = run_deployment.fn(orders, job=job)

    assert first == second
    assert first.summary == f"{orders} {first.variables['version']} completed"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"day": "never"}, "ended Failed: .*there is no such day"),
        ({"day": ["x"]}, "does not take the parameters"),
        ({"dya": "x"}, "does not take the parameters: .*dya"),
    ],
)
def test_what_does_not_complete_says_why(
    orders: str, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(ActionFailed, match=message):
        run_deployment.fn(orders, parameters=parameters, job=Lines().job())


def test_a_run_that_takes_too_long_is_cancelled(orders: str) -> None:
    lines = Lines()

    with pytest.raises(ActionFailed, match="did not end"):
        run_deployment.fn(
            orders, parameters={"day": "for ever"}, timeout=0.1, job=lines.job()
        )

    until(lambda: state_of(lines).is_cancelled(), "the cancellation")


def test_nobody_waits_in_silence_for_a_pool_without_workers(
    orders: str, prefect_server: None
) -> None:
    lines, name = Lines(), uuid4().hex
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        client.create_deployment(
            client.create_flow_from_name(name), "live", work_pool_name=name
        )

    with pytest.raises(ActionFailed, match="did not end"):
        run_deployment.fn(f"{name}/live", timeout=0.01, job=lines.job())

    assert f"no worker serves the pool '{name}'" in lines[0]


def test_a_deployment_that_is_not_there_is_named(prefect_server: None) -> None:
    with pytest.raises(ActionFailed, match="there is no deployment 'orders/nowhere'"):
        run_deployment.fn("orders/nowhere")
