"""Scans by Inspector: its service and its program are doubles, as neither can be had.

The program's double writes down what it was told and what it found in a folder.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws import Handler, Wire, served

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.invoke.inspector_scan import scan_with_inspector

Data = dict[str, Any]
Making = Callable[[dict[str, str]], Artifact]
PROGRAM = """#!/bin/sh
while [ "$1" != --outfile ]; do said="$said $1"; last=$1; shift; done
printf '{"bomFormat": "CycloneDX", "arguments": "%s", "files": "%s"}' \\
  "${said# }" "$(ls "$last" 2>/dev/null)" > "$2"
"""


def flaw(name: str, *severities: str) -> Data:
    return {"id": name, "ratings": [{"severity": each} for each in severities]}


class Inspector:
    """Finds two flaws in everything.

    Attributes:
        bills: What it was asked about.
    """

    def __init__(self) -> None:
        self.bills: list[Data] = []
        self.flaws = [flaw("CVE-1", "low", "high"), flaw("CVE-2", "medium")]


@pytest.fixture
def inspector(
    cloud: None, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Inspector]:
    made = Inspector()

    class Double(Handler):
        def do_POST(self) -> None:
            asked = json.loads(self.body())
            assert asked["outputFormat"] == "CYCLONE_DX_1_5"
            made.bills.append(asked["sbom"])
            found = {"sbom": {"bomFormat": "CycloneDX", "vulnerabilities": made.flaws}}
            self.answer(200, json.dumps(found).encode())

    program = tmp_path / "bin" / "inspector-sbomgen"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    with served(Double) as double, wire.to(double) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_INSPECTOR_SCAN", address)
        yield made


def scan(job: Job, mode: Any = "SourceCodeScan", **more: Any) -> Outputs:
    made: Outputs = scan_with_inspector.fn(mode, job=job, **more)
    return made


def test_sources_are_scanned_and_the_bill_is_kept(
    inspector: Inspector, artifact: Making, job: Job, tmp_path: Path
) -> None:
    source = artifact({"requirements.txt": "flask"})

    made = scan(job, artifact=source, high_threshold=1, outputs={"bill": ["**"]})

    (bill,) = inspector.bills
    assert bill["files"] == "requirements.txt"
    assert made.variables == {"HighestScannedSeverity": "high"}
    assert made.summary == "0 critical, 1 high, 1 medium, 0 low"
    made.artifacts["bill"].unpack(tmp_path / "bill")
    kept = json.loads((tmp_path / "bill" / "sbom.json").read_text())
    assert [each["id"] for each in kept["vulnerabilities"]] == ["CVE-1", "CVE-2"]


def test_an_image_is_scanned_by_its_tag(
    inspector: Inspector, job: Job, client: Callable[[str], Any]
) -> None:
    made = client("ecr").create_repository(repositoryName="shop")
    address = made["repository"]["repositoryUri"]

    scan(job, "ECRImageScan", ecr_repository_name="shop", image_tag="v1")

    (bill,) = inspector.bills
    assert bill["arguments"] == f"container --image {address}:v1"


def test_more_than_is_allowed_fails_and_names_the_worst(
    inspector: Inspector, artifact: Making, job: Job
) -> None:
    source = artifact({"requirements.txt": "flask"})

    with pytest.raises(ActionFailed, match="1 vulnerabilities are high") as caught:
        scan(job, artifact=source, high_threshold=0, outputs={"bill": ["**"]})

    assert caught.value.hint == "CVE-1"
    assert isinstance(caught.value.outputs, Outputs)
    assert "bill" in caught.value.outputs.artifacts


def test_without_flaws_there_is_no_severity(
    inspector: Inspector, artifact: Making, job: Job
) -> None:
    inspector.flaws = []
    made = scan(job, artifact=artifact({"a": ""}), low_threshold=0)
    assert made.variables == {"HighestScannedSeverity": "none"}


def test_what_is_missing_is_said(
    inspector: Inspector,
    artifact: Making,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ActionFailed, match="needs an artifact"):
        scan(job)
    with pytest.raises(ActionFailed, match="needs 'ecr_repository_name'"):
        scan(job, "ECRImageScan")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ActionFailed, match="'inspector-sbomgen' is not installed"):
        scan(job, artifact=artifact({"a": ""}))
    assert inspector.bills == []
