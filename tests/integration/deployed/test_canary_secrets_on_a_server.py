"""A deployed pipeline that uses secrets leaves none of them on Prefect's server.

All tables of the server's database are searched, but for the blocks that hold them, and
all files of the worker, the ledger among them.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from deployed import Deployed, Machine, Server, deploy
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL, temporary_settings
from repository import Shop

from prefect_delivery.engine.state import Status

OF_WORKER = "canary-of-the-worker"
OF_BLOCK = "canary-of-the-block"
CANARIES = [OF_WORKER, OF_BLOCK]
BUILD = """
      package:
        uses: build/commands
        outputs: {site: ["dist/**"]}
        with:
          commands:
            - mkdir dist
            - echo "token=$TOKEN"
            - echo "pin=$PIN" >&2
            - env
            - echo "length=${#TOKEN}" > dist/greeting
          secrets: {TOKEN: "env:CANARY", PIN: canary-pin}
      spec:
        uses: build/buildspec
        with:
          buildspec: |
            version: 0.2
            env: {exported-variables: [SIZE]}
            phases: {build: {commands: ['set -x; true "$PIN"', 'SIZE=${#PIN}']}}
          secrets: {PIN: canary-pin}
      fails:
        uses: test/commands
        run_order: 2
        with:
          commands: ['echo "it is $TOKEN that fails"; exit 1']
          secrets: {TOKEN: "env:CANARY"}
"""
DEBUG = {"PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "1"}


@pytest.fixture
def worker(server: Server, tmp_path: Path) -> Iterator[Deployed]:
    """A worker that knows the secret, and tells all it does."""
    folder = tmp_path / "worker"
    folder.mkdir()
    knows = {"CANARY": OF_WORKER, "PREFECT_WORKER_QUERY_SECONDS": "1", **DEBUG}
    with deploy(Machine(folder, server.url, knows), "canary") as made:
        yield made


def test_no_secret_is_left_on_the_server_or_the_worker(
    worker: Deployed, server: Server, shop: Shop, home: Path
) -> None:
    with temporary_settings({PREFECT_API_URL: server.url}):
        Secret(value=OF_BLOCK).save("canary-pin", overwrite=True)
    shop.define(BUILD)

    flow_run = worker.run(shop, home)
    ended = worker.ended(flow_run)

    assert ended.state_name == "Failed", ended.state
    assert shop.ledger.executions.find("shop").status is Status.FAILED
    said = contents(server)
    assert {"flow_run", "task_run", "log", "artifact", "events"} <= said.keys()
    places = {
        **{name: text.encode() for name, text in said.items()},
        **{
            str(file): file.read_bytes()
            for folder in (worker.machine.folder, home)
            for file in folder.rglob("*")
            if file.is_file()
        },
    }
    assert any(place.endswith("ledger.db") for place in places)
    leaks = [
        f"{canary} in {place}"
        for canary in CANARIES
        for place, content in places.items()
        if canary.encode() in content
    ]
    assert leaks == []
    assert "it is *** that fails" in said["log"]
    assert said["log"].count("***") > 4


def contents(server: Server) -> dict[str, str]:
    """All that the server's database holds, by table, but for blocks."""
    with closing(
        sqlite3.connect(f"file:{server.home}/prefect.db?mode=ro", uri=True)
    ) as db:
        names = [
            name
            for (name,) in db.execute(
                "SELECT name FROM sqlite_master WHERE type='table'"
            )
            if name != "block_document"
        ]
        return {
            name: "\n".join(map(repr, db.execute(f'SELECT * FROM "{name}"')))
            for name in names
        }
