"""A pipeline that uses secrets from everywhere leaves none of them anywhere."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROGRAM = str(Path(sys.executable).with_name("deliver"))
CANARIES = {
    "environment": "canary-of-the-environment",
    "access key": "canary/of+the/access+key/0123456789abcdef",
    "secrets manager": "canary-of-secrets-manager",
    "parameter store": "canary-of-the-parameter-store",
    "url": "canary-of-the-url",
}
DEFINITION = """\
pipeline: shop
variables: {mirror: {default: "https://git.example/shop"}}
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: ".", branch: main}}
  Build:
    actions:
      package:
        uses: build/commands
        inputs: app
        outputs: {site: ["dist/**"]}
        with:
          commands:
            - mkdir dist
            - test -n "$TOKEN" && echo "$TOKEN"
            - echo "token=$TOKEN" >&2
            - env | sort
            - echo "mirror=$MIRROR"
            - echo "length=${#TOKEN}" > dist/length
          environment: {MIRROR: "#{variables.mirror}"}
          secrets: {TOKEN: "env:CANARY"}
      spec: {uses: build/buildspec, inputs: app}
      fails:
        uses: test/commands
        inputs: app
        with:
          commands: ['echo "it is $TOKEN that fails"; exit 1']
          secrets: {TOKEN: "env:CANARY"}
"""
BUILDSPEC = """\
version: 0.2
env:
  secrets-manager: {PASSWORD: shop-password}
  parameter-store: {PIN: /shop/pin}
phases:
  build:
    commands:
      - test -n "$PASSWORD" && echo "$PASSWORD"
      - test -n "$PIN" && echo "$PIN"
      - set -x; true "$PASSWORD" "$PIN"
"""


def git(folder: Path, *words: str) -> None:
    names = ["-c", "user.name=Ann", "-c", "user.email=ann@shop.example"]
    subprocess.run(["git", *names, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "delivery.yaml").write_text(DEFINITION)
    (folder / "buildspec.yml").write_text(BUILDSPEC)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "shop")
    return folder


def test_no_secret_is_left_anywhere(
    repository: Path,
    bucket: str,
    client: Callable[[str], Any],
    tmp_path: Path,
) -> None:
    client("secretsmanager").create_secret(
        Name="shop-password", SecretString=CANARIES["secrets manager"]
    )
    client("ssm").put_parameter(
        Name="/shop/pin", Value=CANARIES["parameter store"], Type="SecureString"
    )
    work = tmp_path / "work"
    environment = {
        **os.environ,
        "HOME": str(work),
        "TMPDIR": str(work),
        "PREFECT_HOME": str(work / "prefect"),
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_DELIVERY_HOME": str(work / "delivery"),
        "PREFECT_DELIVERY_ARTIFACT_STORE": f"s3://{bucket}/artifacts",
        "AWS_SECRET_ACCESS_KEY": CANARIES["access key"],
        "CANARY": CANARIES["environment"],
    }
    work.mkdir()
    mirror = f"https://ann:{CANARIES['url']}@git.example/shop"

    done = subprocess.run(
        [PROGRAM, "run", "--local", "-v", f"mirror={mirror}"],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "it is *** that fails" in said
    shown = subprocess.run(
        [PROGRAM, "logs", "shop", "1"],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.count("***") > 4
    assert "mirror=https://****@git.example/shop" in shown

    objects = client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert any("/packs/" in each["Key"] for each in objects)
    places = {
        "what was said": said.encode(),
        "deliver logs": shown.encode(),
        **{str(file): file.read_bytes() for file in work.rglob("*") if file.is_file()},
        **{
            each["Key"]: client("s3")
            .get_object(Bucket=bucket, Key=each["Key"])["Body"]
            .read()
            for each in objects
        },
    }
    assert any(place.endswith("ledger.db") for place in places)
    leaks = [
        f"{name} in {place}"
        for name, canary in CANARIES.items()
        for place, content in places.items()
        if canary.encode() in content
    ]
    assert leaks == []
