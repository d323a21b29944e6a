"""Deployments to EKS. No cluster can run here: kubectl and Helm are doubles that write
down what they were told, and whom they would ask with which token. moto has the cluster.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from prefect_delivery.actions import ActionFailed, Artifact, Job
from prefect_delivery.tasks.deploy.eks import deploy_to_eks

Making = Callable[[dict[str, str]], Artifact]
PROGRAM = """#!/bin/sh
echo "$(basename "$0") $*" >> {said}
cp "$KUBECONFIG" {said}.config
for each; do if [ -f "$each" ]; then cat "$each" >> {said}.files; fi; done
[ ! -e {said}.fail ] || {{ echo 'error: no matches for kind'; exit 1; }}
"""


@pytest.fixture
def said(
    cloud: None,
    client: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Where the programs write down their arguments."""
    client("eks").create_cluster(
        name="live", roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={}
    )
    programs, said = tmp_path / "bin", tmp_path / "said"
    programs.mkdir()
    for name in ("kubectl", "helm"):
        (programs / name).write_text(PROGRAM.format(said=said))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return said


def test_manifests_are_applied_with_their_variables(
    said: Path, artifact: Making, job: Job
) -> None:
    source = artifact({"app.yaml": "image: shop:$TAG ${TAG} $OTHER\n", "b.yaml": "b"})

    made = deploy_to_eks.fn(
        source,
        "live",
        manifest_files="app.yaml, b.yaml",
        namespace="shop",
        environment_variables={"TAG": "v1"},
        job=job,
    )

    assert made.variables == {"EKSClusterName": "live"}
    assert said.read_text().startswith("kubectl apply --namespace shop --filename /")
    files = said.with_name("said.files").read_text()
    assert files == "image: shop:v1 v1 $OTHER\nb"


def test_a_cluster_is_asked_with_a_token_that_says_who_we_are(
    said: Path, artifact: Making, job: Job, client: Callable[[str], Any]
) -> None:
    deploy_to_eks.fn(artifact({"a.yaml": ""}), "live", manifest_files="a.yaml", job=job)

    config = json.loads(said.with_name("said.config").read_text())
    cluster = client("eks").describe_cluster(name="live")["cluster"]
    assert config["clusters"][0]["cluster"]["server"] == cluster["endpoint"]
    head, _, token = config["users"][0]["user"]["token"].partition(".")
    assert head == "k8s-aws-v1"
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    signed = parse_qs(urlsplit(url).query)
    assert signed["Action"] == ["GetCallerIdentity"]
    assert "x-k8s-aws-id" in signed["X-Amz-SignedHeaders"][0]
    assert signed["X-Amz-Expires"] == ["60"]
    assert "/eu-west-1/sts/" in signed["X-Amz-Credential"][0]


def test_a_chart_becomes_a_release(said: Path, artifact: Making, job: Job) -> None:
    source = artifact({"chart/Chart.yaml": "name: shop", "live.yaml": "tag: $TAG"})

    deploy_to_eks.fn(
        source,
        "live",
        helm_release_name="shop",
        helm_chart_location="chart",
        helm_values_files="live.yaml",
        environment_variables={"TAG": "v1"},
        timeout=5,
        job=job,
    )

    words = said.read_text().split()
    assert words[:4] == ["helm", "upgrade", "--install", "--atomic"]
    assert words[6:10] == ["--timeout", "5m", "--", "shop"]
    assert words[10].endswith("/chart")
    assert said.with_name("said.files").read_text() == "tag: v1"


def test_what_is_wrong_is_said(
    said: Path, artifact: Making, job: Job, log: list[str]
) -> None:
    source = artifact({"a.yaml": ""})
    with pytest.raises(ActionFailed, match="give either 'manifest_files'"):
        deploy_to_eks.fn(source, "live", job=job)
    with pytest.raises(ActionFailed, match=r"no file '\.\./a\.yaml'"):
        deploy_to_eks.fn(source, "live", manifest_files="../a.yaml", job=job)
    with pytest.raises(ActionFailed, match="ResourceNotFound"):
        deploy_to_eks.fn(source, "none", manifest_files="a.yaml", job=job)
    assert not said.exists()

    said.with_name("said.fail").touch()
    with pytest.raises(ActionFailed, match=r"kubectl.* exit code 1"):
        deploy_to_eks.fn(source, "live", manifest_files="a.yaml", job=job)
    assert "error: no matches for kind" in log
