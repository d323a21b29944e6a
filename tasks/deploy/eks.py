"""Deploy to a cluster of Amazon EKS, with kubectl or Helm."""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from typing import Any, Final

from botocore.credentials import Credentials  # type: ignore[import-untyped]  # no py.typed
from botocore.signers import RequestSigner  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    action,
)
from prefect_delivery.blocks.aws_session import AwsSession, aws_session
from prefect_delivery.process import clean_environment, run_process

_VALID: Final = 60
"""Seconds in which EKS must see a token for the first time."""


@action(
    "deploy/eks",
    permissions=("eks:DescribeCluster",),
    variables={"EKSClusterName": "name of the cluster"},
)
def deploy_to_eks(
    artifact: Artifact,
    cluster_name: str,
    *,
    helm_release_name: str | None = None,
    helm_chart_location: str | None = None,
    helm_values_files: str | None = None,
    manifest_files: str | None = None,
    namespace: str | None = None,
    environment_variables: dict[str, str] = {},
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 60,
    job: Job = Job(),
) -> Outputs:
    """Apply manifests, or install or upgrade a release of Helm, and wait for Helm's.

    To repeat it changes nothing more. A release of Helm that does not get ready is taken
    back by Helm; manifests are not, as Kubernetes itself keeps what ran before until the
    new is ready. It needs `kubectl` or `helm` on the worker, which reaches the cluster
    from its own network.

    Args:
        artifact: Has the manifests, or the chart.
        cluster_name: Name of the cluster, which knows the worker's identity.
        helm_release_name: Name of the release.
        helm_chart_location: Path of the chart in the artifact.
        helm_values_files: Paths of files of values, separated by commas.
        manifest_files: Paths of manifests, separated by commas; instead of Helm.
        namespace: Namespace in the cluster; by default `default`.
        environment_variables: Take the place of `$NAME` and `${NAME}` in manifests and
            files of values.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the cluster.
        timeout: Minutes until the action fails.

    Raises:
        ActionFailed: A file or program is missing, or the cluster refuses something.

    Source: CodePipeline user guide, "Amazon Elastic Kubernetes Service EKS deploy action
    reference"; EKS user guide, "Create kubeconfig file manually".
    """
    helm = bool(helm_release_name and helm_chart_location)
    if helm == bool(manifest_files):
        raise ActionFailed(
            "give either 'manifest_files', or both 'helm_release_name' and"
            " 'helm_chart_location'"
        )
    with aws_session(credentials, role_arn, region) as aws, job.workspace() as folder:
        tree = (folder / "tree").resolve()
        artifact.unpack(tree)
        replaced = manifest_files or helm_values_files or ""
        files = [
            _replaced(_inside(tree, each.strip()), environment_variables)
            for each in replaced.split(",")
            if each.strip()
        ]
        config = folder / "kubeconfig"
        config.write_text(json.dumps(_config(aws, cluster_name)), encoding="utf-8")
        named = ["--namespace", namespace] if namespace else []
        if helm:
            chart = _inside(tree, helm_chart_location or "")
            command = ["helm", "upgrade", "--install", "--atomic", *named]
            command += [part for file in files for part in ("--values", str(file))]
            # What follows is no option, whatever it begins with.
            command += ["--timeout", f"{timeout:g}m", "--"]
            command += [helm_release_name or "", str(chart)]
        else:
            command = ["kubectl", "apply", *named]
            command += [part for file in files for part in ("--filename", str(file))]
        program = which(command[0])
        if program is None:
            raise ActionFailed(f"'{command[0]}' is not installed on this worker")
        run_process(
            [program, *command[1:]],
            cwd=tree,
            env=clean_environment({"KUBECONFIG": str(config)}),
            on_line=job.log,
            # Helm ends first, and takes the release back.
            timeout=timeout * 60 + (60 if helm else 0),
            cancelled=job.cancelled,
        )
    return Outputs(
        variables={"EKSClusterName": cluster_name},
        summary=f"{cluster_name} has {helm_release_name or manifest_files}",
    )


def _inside(tree: Path, path: str) -> Path:
    found = (tree / path).resolve()
    if not found.is_relative_to(tree) or not found.exists():
        raise ActionFailed(f"the artifact has no file '{path}'")
    return found


def _replaced(file: Path, values: Mapping[str, str]) -> Path:
    """The file, with `$NAME` and `${NAME}` replaced where a name is known."""
    if values and file.is_file():
        text = file.read_text(encoding="utf-8")

        def value(match: re.Match[str]) -> str:
            return values.get(match[1] or match[2], match[0])

        text = re.sub(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", value, text)
        file.write_text(text, encoding="utf-8")
    return file


def _config(aws: AwsSession, name: str) -> dict[str, Any]:
    """What kubectl and Helm need to know of a cluster."""
    cluster = aws.client("eks").describe_cluster(name=name)["cluster"]
    if cluster.get("status", "ACTIVE") not in {"ACTIVE", "UPDATING"}:
        raise ActionFailed(f"cluster '{name}' is {cluster['status']}")
    place = {
        "server": cluster["endpoint"],
        "certificate-authority-data": cluster["certificateAuthority"]["data"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": place}],
        "users": [{"name": name, "user": {"token": _token(aws, name)}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def _token(aws: AwsSession, name: str) -> str:
    """A signed request of STS, by which the cluster learns who we are."""
    client, identity = aws.client("sts"), aws.frozen_credentials()
    signer = RequestSigner(
        client.meta.service_model.service_id,
        aws.region,
        "sts",
        "v4",
        Credentials(identity.access_key, identity.secret_key, identity.token),
        client.meta.events,
    )
    request = {
        "method": "GET",
        "url": f"{client.meta.endpoint_url}/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": name},
        "context": {},
    }
    url = signer.generate_presigned_url(
        request, region_name=aws.region, expires_in=_VALID, operation_name=""
    )
    return "k8s-aws-v1." + urlsafe_b64encode(url.encode()).decode().rstrip("=")
