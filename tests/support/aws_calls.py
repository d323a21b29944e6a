"""What the actions and environments ask AWS for, as their source says it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from botocore import xform_name  # type: ignore[import-untyped]  # no py.typed
from botocore.session import get_session  # type: ignore[import-untyped]  # no py.typed

ROOT = Path(__file__).parents[2]
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
ELSEWHERE = {"jenkins_build.py"}
"""Files that ask others, whose clients have methods of the same names."""


def asked_for() -> Iterator[tuple[str, str]]:
    """Each file of ours, with the operations that it asks AWS for."""
    session = get_session()
    operations = {
        xform_name(name): name
        for service in SERVICES
        for name in session.get_service_model(service).operation_names
    }
    for file in sorted([*ROOT.glob("tasks/**/*.py"), *ROOT.glob("blocks/*.py")]):
        if file.name in ELSEWHERE:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            called = (
                node.attr
                if isinstance(node, ast.Attribute)
                else node.value
                if isinstance(node, ast.Constant)
                else None
            )
            if isinstance(called, str) and called in operations:
                yield file.name, operations[called]
