"""Each action in AWS says what IAM must allow it, and a definition what all of it needs."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from botocore import xform_name  # type: ignore[import-untyped]  # no py.typed
from botocore.session import get_session  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import PERMISSIONS
from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.registry import task_of

ROOT = Path(__file__).parents[2]
PROGRAM = str(Path(sys.executable).with_name("deliver"))
NAMES = {
    "stepfunctions": "states",
    "elbv2": "elasticloadbalancing",
    "ecr-public": "ecr",
}
"""Services whose name in IAM is another one."""
OTHERWISE = {
    "s3:HeadObject": "s3:GetObject",
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:ListObjectsV2": "s3:ListBucket",
}


def closure(module: str, seen: dict[str, ast.Module]) -> dict[str, ast.Module]:
    """A module of tasks, and those that it imports."""
    file = ROOT / (module.removeprefix("prefect_delivery.").replace(".", "/") + ".py")
    if module in seen or not file.is_file():
        return seen
    seen[module] = ast.parse(file.read_text())
    for node in ast.walk(seen[module]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "prefect_delivery.tasks."
        ):
            closure(str(node.module), seen)
    return seen


def calls(trees: list[ast.Module]) -> set[str]:
    """IAM's names of the calls that clients made there are asked for."""
    nodes = [
        node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    services = {
        str(node.args[0].value)
        for node in nodes
        if isinstance(node.func, ast.Attribute)
        and node.func.attr == "client"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    } - {"sts"}
    known = {
        xform_name(operation): f"{NAMES.get(service, service)}:{operation}"
        for service in services
        for operation in get_session().get_service_model(service).operation_names
    }
    found = set()
    for node in nodes:
        assert isinstance(node.func, ast.Attribute)
        name = node.func.attr
        if name == "get_paginator" and isinstance(node.args[0], ast.Constant):
            name = str(node.args[0].value)
        if name in known:
            found.add(OTHERWISE.get(known[name], known[name]))
    return found


@pytest.mark.parametrize("uses", Catalogue.load().actions)
def test_every_call_of_an_action_is_declared(uses: str) -> None:
    task = task_of(uses)
    module = task.fn.__module__
    trees = closure(module, {})

    made = calls([*trees.values()])

    assert made <= set(getattr(task, PERMISSIONS)), module


def test_a_definition_needs_a_policy_for_each_identity(tmp_path: Path) -> None:
    role = "arn:aws:iam::111122223333:role/deploy"
    (tmp_path / "delivery.yaml").write_text(f"""
pipeline: shop
environments:
  site: {{kind: s3-bucket, bucket: shop-site, role_arn: "{role}"}}
stages:
  Source:
    actions:
      app: {{uses: source/s3, with: {{s3_bucket: in, s3_object_key: app.zip}}}}
  Build:
    actions:
      make: {{uses: build/codebuild, inputs: {{artifacts: [app]}}, with: {{project_name: shop}}}}
  Deploy:
    actions:
      out: {{uses: deploy/environment, inputs: app, with: {{environment: site}}}}
""")

    done = subprocess.run(
        [PROGRAM, "plan", "--policy"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == [role, "worker"]
    assume, build = found["worker"]["Statement"]
    assert (assume["Action"], assume["Resource"]) == (["sts:AssumeRole"], [role])
    assert {"codebuild:StartBuild", "s3:GetObjectVersion"} <= set(build["Action"])
    assert found[role]["Statement"][0]["Resource"] == ["arn:aws:s3:::shop-site"]
