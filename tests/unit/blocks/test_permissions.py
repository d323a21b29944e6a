"""The policy of an environment in AWS allows every call that its code makes."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from botocore import xform_name  # type: ignore[import-untyped]  # no py.typed
from botocore.session import get_session  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.blocks.aws_environment import AwsEnvironment
from prefect_delivery.blocks.cloudformation_stack import CloudFormationStackEnvironment
from prefect_delivery.blocks.ecs_service import EcsServiceEnvironment
from prefect_delivery.blocks.elastic_beanstalk import ElasticBeanstalkEnvironment
from prefect_delivery.blocks.lambda_alias import LambdaAliasEnvironment
from prefect_delivery.blocks.s3_bucket import S3BucketEnvironment
from prefect_delivery.permissions import arn, policy_of

BLOCKS = Path(__file__).parents[3] / "blocks"
PROGRAM = str(Path(sys.executable).with_name("deliver"))
ROLE = "arn:aws:iam::111122223333:role/deploy"
WHERE = {"region": "eu-west-1", "role_arn": ROLE}
OF_S3 = {
    "upload_file": "s3:PutObject",
    "list_objects_v2": "s3:ListBucket",
    "copy": "s3:GetObject",
}
"""Calls whose permission has another name."""

ENVIRONMENTS = {
    "ecs_service": (
        EcsServiceEnvironment(cluster="shop", service="web", **WHERE),
        ("ecs",),
    ),
    "lambda_alias": (
        LambdaAliasEnvironment(function="shop", alias="live", alarms=["e"], **WHERE),
        ("lambda", "cloudwatch"),
    ),
    "s3_bucket": (S3BucketEnvironment(bucket="shop", **WHERE), ("s3",)),
    "cloudformation_stack": (
        CloudFormationStackEnvironment(stack="shop", bucket="templates", **WHERE),
        ("cloudformation", "s3"),
    ),
    "elastic_beanstalk": (
        ElasticBeanstalkEnvironment(application="shop", environment="live", **WHERE),
        ("elasticbeanstalk", "s3"),
    ),
}


def calls(module: str, services: tuple[str, ...]) -> set[str]:
    """IAM's names of the calls that stand in a module and those beside it."""
    known = {
        xform_name(operation): f"{service}:{operation}"
        for service in services
        for operation in get_session().get_service_model(service).operation_names
    } | (OF_S3 if "s3" in services else {})
    found = set()
    pattern = "cloudformation_*.py" if module.startswith("cloud") else f"{module}.py"
    for file in BLOCKS.glob(pattern):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(
                node.func, ast.Attribute
            ):
                continue
            name = node.func.attr
            if name == "get_paginator" and isinstance(node.args[0], ast.Constant):
                name = str(node.args[0].value)
            if name in known:
                found.add(known[name])
    return found


@pytest.mark.parametrize("module", ENVIRONMENTS)
def test_every_call_is_allowed(module: str) -> None:
    environment, services = ENVIRONMENTS[module]
    allowed = {each for one in environment.permissions() for each in one.actions}

    made = calls(module, services)

    assert len(made) > 2
    assert made <= allowed
    passes = {"iam:PassRole", "s3:AbortMultipartUpload", "s3:GetObject"}
    assert allowed - made <= passes


def test_every_kind_in_aws_says_what_it_needs() -> None:
    kinds = {type(environment) for environment, _ in ENVIRONMENTS.values()}

    assert {
        each
        for each in AwsEnvironment.__subclasses__()
        if "_block_type_slug" in vars(each)
    } == kinds


def test_a_policy_names_the_resources() -> None:
    environment, _ = ENVIRONMENTS["ecs_service"]

    statements = policy_of(environment.permissions())["Statement"]

    assert statements[0] == {
        "Effect": "Allow",
        "Action": ["ecs:DescribeServices", "ecs:TagResource", "ecs:UpdateService"],
        "Resource": ["arn:aws:ecs:eu-west-1:111122223333:service/shop/web"],
    }


def test_what_is_not_known_of_a_resource_is_left_open() -> None:
    assert arn("ecs", "service/a/b", role=None, region=None) == (
        "arn:aws:ecs:*:*:service/a/b"
    )
    assert arn("ecs", "arn:aws:ecs:x", role=ROLE, region=None) == "arn:aws:ecs:x"


def test_the_command_writes_the_policy_of_what_a_definition_says(
    tmp_path: Path, home: Path
) -> None:
    (tmp_path / "delivery.yaml").write_text("""
pipeline: shop
environments:
  site: {kind: s3-bucket, bucket: shop-site}
  here: {kind: host, root: site}
stages:
  Source: {actions: {app: {uses: source/git, with: {url: https://git.example/shop}}}}
  Deploy:
    actions:
      out: {uses: deploy/environment, inputs: app, with: {environment: site}}
""")

    def run(name: str) -> "subprocess.CompletedProcess[str]":
        command = [PROGRAM, "env", "check", name, "--policy"]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    done, refused = run("site"), run("here")

    assert done.returncode == 0, done.stderr
    (listing, *_) = json.loads(done.stdout)["Statement"]
    assert listing["Resource"] == ["arn:aws:s3:::shop-site"]
    assert refused.returncode != 0
    assert "is not in AWS" in refused.stderr
