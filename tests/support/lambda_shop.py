"""A function of Lambda that really runs behind an alias, and releases for it."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # no py.typed
from ministack import REGION

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.lambda_alias import LambdaAliasEnvironment
from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.ledger import Ledger, Release

CODE = "def handler(event, context):\n    return {text!r}\n"


class LambdaShop:
    """A function whose alias `live` leads to a version that nobody deployed by us."""

    environment = "production"

    def __init__(self, folder: Path, address: str, name: str) -> None:
        self.folder = folder
        self.name = name
        self.ledger = Ledger.open()
        self.client = boto3.client("lambda", endpoint_url=address, region_name=REGION)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("main.py", CODE.format(text="by hand"))
        self.client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role="arn:aws:iam::000000000000:role/shop",
            Handler="main.handler",
            Code={"ZipFile": archive.getvalue()},
            Publish=True,
        )
        self.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")

    def target(self, **settings: Any) -> LambdaAliasEnvironment:
        return LambdaAliasEnvironment(function=self.name, alias="live", **settings)

    def artifact(self, text: str) -> Artifact:
        folder = self.folder / text
        folder.mkdir(exist_ok=True)
        (folder / "main.py").write_text(CODE.format(text=text))
        return Artifact.of(folder)

    def release(self, text: str, revision: str = "") -> Release:
        artifact = self.artifact(text)
        return self.ledger.releases.create(
            pipeline="shop",
            execution_id="",
            artifact=ArtifactRef(digest=artifact.digest, size=artifact.size),
            revisions={"app": revision or text},
            definition_digest="0" * 64,
            variables={},
        )

    def alias(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get_alias(
            FunctionName=self.name, Name="live"
        )
        return found

    def weights(self) -> dict[str, float]:
        found: dict[str, float] = (
            self.alias().get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        )
        return found

    def says(self, qualifier: str = "live") -> str:
        """What the function really answers."""
        answer = self.client.invoke(FunctionName=self.name, Qualifier=qualifier)
        return str(json.loads(answer["Payload"].read()))

    def versions(self) -> list[str]:
        answer = self.client.list_versions_by_function(FunctionName=self.name)
        return [each["Version"] for each in answer["Versions"]]
