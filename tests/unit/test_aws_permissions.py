"""The page on permissions names all that the actions and environments ask AWS for."""

import json
import re

import pytest
from aws_calls import ROOT, asked_for

PAGE = (ROOT / "docs/aws-permissions.md").read_text()
OF_IAM = {
    # IAM knows these by the permission that they need.
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "HeadObject": "GetObject",
    "Invoke": "InvokeFunction",
    "ListObjectsV2": "ListBucket",
    "UploadPart": "PutObject",
}
FREE = {"GetCallerIdentity"}
"""What everybody may ask."""


def test_each_operation_that_is_asked_for_is_on_the_page() -> None:
    named = set(re.findall(r"\b[A-Z]\w+", PAGE))

    missing = {
        f"{operation} of {file}"
        for file, operation in asked_for()
        if OF_IAM.get(operation, operation) not in named | FREE
    }

    assert missing == set()


@pytest.mark.parametrize(
    "text", re.findall(r"^ *```json\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
)
def test_policies_are_json(text: str) -> None:
    assert json.loads(text)
