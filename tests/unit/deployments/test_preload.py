"""What is done before processes are forked for runs."""

import shutil
import subprocess
import sys
from pathlib import Path

import certifi
import pytest

PROGRAM = """
from prefect.client.orchestration import get_client
from prefect.client.schemas import FlowRun
from prefect_delivery.deployments import certificates, preload

def contexts():
    for sync in (True, False):
        client = get_client(httpx_settings={"timeout": 5}, sync_client=sync)
        yield client._client._transport._pool._ssl_context

loaded = certificates._Shared.create_default_context.cache_info().misses
assert FlowRun in preload.completed and FlowRun.__pydantic_complete__
one, other = contexts()
assert one is other and one.cert_store_stats()["x509_ca"]
print(certificates._Shared.create_default_context.cache_info().misses - loaded)
"""


@pytest.mark.parametrize("file", [None, certifi.where()])
def test_models_are_complete_and_clients_share_the_certificates(
    file: str | None, tmp_path: Path
) -> None:
    environment = {"PREFECT_API_URL": "https://localhost:1/api", "PATH": ""}
    if file:
        copy = shutil.copy(file, tmp_path / "authorities.pem")
        environment["PREFECT_API_SSL_CERT_FILE"] = str(copy)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "0\n", done.stderr
