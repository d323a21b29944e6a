from typing import Any

import pytest
from prefect import flow
from prefect.blocks.system import Secret

from prefect_delivery.actions import ActionFailed, Artifact, Outputs
from prefect_delivery.tasks.build.commands import run_commands


@flow
def release(source: Artifact, secrets: dict[str, str]) -> dict[str, str]:
    done = run_commands(
        source,
        [
            'test "$TOKEN" = "correct"" horse battery"',
            'echo "LENGTH=${#TOKEN}" >> "$DELIVERY_OUTPUT"',
            'echo "$TOKEN"',
        ],
        secrets=secrets,
    )
    assert isinstance(done, Outputs)
    return done.variables


def test_a_secret_block_reaches_a_command_in_a_flow_of_anybody(
    prefect_server: None, source: Artifact, caplog: Any
) -> None:
    Secret(value="correct horse battery").save("worker-token")

    variables = release(source, {"TOKEN": "worker-token"})

    assert variables == {"LENGTH": "21"}
    assert "***" in caplog.messages
    assert "correct horse" not in caplog.text


def test_a_secret_block_that_does_not_exist_is_named(
    prefect_server: None, source: Artifact
) -> None:
    with pytest.raises(ActionFailed, match="no Secret block 'not-there' can be loaded"):
        release(source, {"TOKEN": "not-there"})
