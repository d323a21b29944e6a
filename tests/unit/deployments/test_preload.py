"""What is done before processes are forked for runs."""

import subprocess
import sys

PROGRAM = """
from prefect.client.orchestration import get_client
from prefect.client.schemas import FlowRun
from prefect_delivery.deployments import preload

def contexts():
    for sync in (True, False):
        client = get_client(httpx_settings={"timeout": 5}, sync_client=sync)
        yield client._client._transport._pool._ssl_context

assert FlowRun in preload.completed and FlowRun.__pydantic_complete__
one, other = contexts()
print("shared" if one is other and one.cert_store_stats()["x509_ca"] else "apart")
"""


def test_models_are_complete_and_clients_share_the_certificates() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PREFECT_API_URL": "https://localhost:1/api", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "shared\n", done.stderr
