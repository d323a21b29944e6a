"""A declaration of CodePipeline, run as it is: its AWS actions are carried out here."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codebuild_double import CodeBuild
from lambda_double import lambdas

PROGRAM = str(Path(sys.executable).with_name("deliver"))
SPEC = """
version: 0.2
env: {exported-variables: [SIZE]}
phases: {build: {commands: ['tr a-z A-Z < "$CODEBUILD_SRC_DIR/$FILE" > loud.txt', SIZE=5]}}
artifacts: {files: [loud.txt]}
"""


def step(name: str, category: str, provider: str, **more: Any) -> dict[str, Any]:
    kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    return {"name": name, "actionTypeId": kind, **more}


def test_a_declaration_runs_as_it_is(
    codebuild: CodeBuild,
    bucket: str,
    client: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    source = step(
        "Source",
        "Source",
        "S3",
        configuration={"S3Bucket": bucket, "S3ObjectKey": "notes.txt"},
        outputArtifacts=[{"name": "src"}],
        namespace="Notes",
    )
    variables = [{"name": "FILE", "value": "#{Notes.ObjectKey}"}]
    build = step(
        "Build",
        "Build",
        "CodeBuild",
        configuration={
            "ProjectName": "shop",
            "BuildspecOverride": SPEC,
            "EnvironmentVariables": json.dumps(variables),
        },
        inputArtifacts=[{"name": "src"}],
        outputArtifacts=[{"name": "out"}],
        namespace="Built",
    )
    told = step(
        "Tell",
        "Invoke",
        "Lambda",
        configuration={"FunctionName": "tell", "UserParameters": "#{Built.SIZE}"},
        inputArtifacts=[{"name": "out"}],
    )
    declaration = {
        "name": "shop",
        "roleArn": "arn:aws:iam::123456789012:role/pipeline",
        "artifactStore": {"type": "S3", "location": bucket},
        "stages": [
            {"name": "Source", "actions": [source]},
            {"name": "Build", "actions": [build]},
            {"name": "Tell", "actions": [told]},
        ],
        "version": 1,
    }
    (tmp_path / "shop.json").write_text(json.dumps({"pipeline": declaration}))
    client("s3").put_object(Bucket=bucket, Key="notes.txt", Body=b"hello")
    events: list[dict[str, Any]] = []

    with lambdas({"tell": events.append}) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", address)
        done = subprocess.run(
            [PROGRAM, "run", "--local", "shop.json"],
            cwd=tmp_path,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    (event,) = events
    data = event["CodePipeline.job"]["data"]
    assert data["actionConfiguration"]["configuration"]["UserParameters"] == "5"
    assert [each["name"] for each in data["inputArtifacts"]] == ["out"]
