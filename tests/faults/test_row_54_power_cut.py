"""Row 54: the power fails at a random moment: whatever was not forced to the disk is
lost, or torn, or there by chance.

The ledger opens and its chain verifies. Every release, artifact and deployment that was
acknowledged is there, whole; a rollout that was under way is ended on one release.

pytest tests/faults/test_row_54_power_cut.py -k "seed17-"
"""

import random
from pathlib import Path

import pytest
from auditor import audit
from host_shop import quiet
from power import Event, cut, record
from seeds import seeded
from storing import needs_strace

from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.ledger import Ledger
from prefect_delivery.rollout import recover
from prefect_delivery.settings import settings

PROGRAM = """
import os, sys
from pathlib import Path
root = Path(sys.argv[1])
os.environ["PREFECT_DELIVERY_HOME"] = str(root)
from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.ledger import Ledger
from prefect_delivery.rollout import roll_out

ledger, host = Ledger.open(), HostEnvironment(root=root / "site")
for version in ("one", "two", "three"):
    source = root.with_name(version)
    source.mkdir()
    (source / "version").write_text(version * 1000)
    artifact = Artifact.of(source)
    os.write(1, f"stored {artifact.digest}\\n".encode())
    release = ledger.releases.create(
        pipeline="shop", execution_id="", variables={}, definition_digest="0" * 64,
        artifact=ArtifactRef(digest=artifact.digest, size=artifact.size),
        revisions={"app": version},
    )
    os.write(1, f"made {release.digest}\\n".encode())
    roll_out(ledger, host, "production", release, execution_id="", log=lambda _: None)
    os.write(1, f"deployed {release.digest} {version}\\n".encode())
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("power") / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def events(root: Path) -> list[Event]:
    """Three deployments, as system calls."""
    return record(PROGRAM, root)


@needs_strace
@seeded()
def test_what_was_acknowledged_survives_a_power_cut(
    events: list[Event],
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: str,
) -> None:
    after = tmp_path / "after"
    said = [line.split() for line in cut(events, root, after, random.Random(seed))]
    monkeypatch.setenv("PREFECT_DELIVERY_HOME", str(after))
    ledger, host = Ledger.open(), HostEnvironment(root=after / "site")
    store = ArtifactStore(settings().artifacts)

    recover(ledger, host, "production", quiet)

    for kind, digest, *_ in said:
        match kind:
            case "stored":
                store.verify(digest)
            case "made":
                assert ledger.releases.get(digest)
    deployed = [line for line in said if line[0] == "deployed"]
    history = {
        each.release: each.status for each in ledger.rollouts.history("production")
    }
    assert {history[digest] for _, digest, _ in deployed} <= {"committed"}
    if current := ledger.releases.current("production"):
        text = (host.root / "current" / "version").read_text()
        assert text == current.revisions["app"] * 1000
    store.collect(ledger.releases.pinned(), grace=0)
    audit(ledger, {"production": host})
