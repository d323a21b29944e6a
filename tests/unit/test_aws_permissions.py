"""The page on permissions names all that the actions and environments ask AWS for."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore import xform_name  # type: ignore[import-untyped]  # no py.typed
from botocore.session import get_session  # type: ignore[import-untyped]  # no py.typed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/aws-permissions.md").read_text()
SERVICES = [
    "appconfig",
    "cloudformation",
    "cloudwatch",
    "codebuild",
    "codedeploy",
    "codepipeline",
    "devicefarm",
    "ec2",
    "ecr",
    "ecs",
    "eks",
    "elasticbeanstalk",
    "elbv2",
    "inspector-scan",
    "lambda",
    "logs",
    "s3",
    "secretsmanager",
    "servicecatalog",
    "ssm",
    "stepfunctions",
]
OF_IAM = {
    # IAM knows these by the permission that they need.
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "HeadObject": "GetObject",
    "Invoke": "InvokeFunction",
    "ListObjectsV2": "ListBucket",
    "UploadPart": "PutObject",
}
FREE = {"get_caller_identity"}
"""What everybody may ask."""


def asked_for() -> Iterator[tuple[str, str]]:
    """Each file of ours, with the operations that it asks AWS for."""
    session = get_session()
    operations = {
        xform_name(name): name
        for service in SERVICES
        for name in session.get_service_model(service).operation_names
    }
    for file in sorted([*ROOT.glob("tasks/**/*.py"), *ROOT.glob("blocks/*.py")]):
        for node in ast.walk(ast.parse(file.read_text())):
            called = (
                node.attr
                if isinstance(node, ast.Attribute)
                else node.value
                if isinstance(node, ast.Constant)
                else None
            )
            if isinstance(called, str) and called in operations.keys() - FREE:
                yield file.name, operations[called]


def test_each_operation_that_is_asked_for_is_on_the_page() -> None:
    named = set(re.findall(r"\b[A-Z]\w+", PAGE))

    missing = {
        f"{operation} of {file}"
        for file, operation in asked_for()
        if OF_IAM.get(operation, operation) not in named
    }

    assert missing == set()


@pytest.mark.parametrize(
    "text", re.findall(r"^ *```json\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
)
def test_policies_are_json(text: str) -> None:
    assert json.loads(text)
