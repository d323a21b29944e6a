"""A stack of CloudFormation with a parameter of SSM in it, and releases for it."""

import json
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # no py.typed
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed
from ministack import REGION

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.cloudformation_stack import CloudFormationStackEnvironment
from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.ledger import Ledger, Release

TEMPLATE = """
Parameters:
  Greeting: {{Type: String, Default: none}}
Resources:
  Said:
    Type: AWS::SSM::Parameter
    Properties: {{Name: /{name}/said, Type: String, Value: !Sub "${{Greeting}} {text}"}}
Outputs:
  Said: {{Value: !GetAtt Said.Value}}
"""
BROKEN = """
  Twice:
    Type: AWS::SSM::Parameter
    Properties: {{Name: /{name}/taken, Type: String, Value: "by us"}}
"""


class StackShop:
    """A stack that does not exist yet."""

    environment = "production"

    def __init__(self, folder: Path, address: str, name: str) -> None:
        self.folder = folder
        self.name = name
        self.address = address
        self.ledger = Ledger.open()
        self.client = self.of("cloudformation")

    def of(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.address, region_name=REGION)

    def target(self, **settings: Any) -> CloudFormationStackEnvironment:
        return CloudFormationStackEnvironment(
            stack=self.name, configuration_path="values.json", **settings
        )

    def template(self, text: str, *, broken: bool = False) -> str:
        """What says `text`; a broken one also claims a name that is taken."""
        made = TEMPLATE.format(name=self.name, text=text)
        if broken:
            self.of("ssm").put_parameter(
                Name=f"/{self.name}/taken", Value="x", Type="String", Overwrite=True
            )
            more = BROKEN.format(name=self.name)
            made = made.replace("Outputs:", f"{more.lstrip(chr(10))}Outputs:")
        return made

    def artifact(self, text: str, *, broken: bool = False) -> Artifact:
        folder = self.folder / f"source-{text}"
        folder.mkdir(exist_ok=True)
        (folder / "template.yaml").write_text(self.template(text, broken=broken))
        values = {"Parameters": {"Greeting": f"hello-{text}"}}
        (folder / "values.json").write_text(json.dumps(values))
        return Artifact.of(folder)

    def release(
        self, text: str, *, revision: str = "", broken: bool = False
    ) -> Release:
        artifact = self.artifact(text, broken=broken)
        return self.ledger.releases.create(
            pipeline="shop",
            execution_id="",
            artifact=ArtifactRef(digest=artifact.digest, size=artifact.size),
            revisions={"app": revision or text},
            definition_digest="0" * 64,
            variables={},
        )

    def make_by_hand(self) -> None:
        """Make the stack as somebody who does not know of us."""
        self.client.create_stack(
            StackName=self.name, TemplateBody=self.template("by-hand")
        )
        self.client.get_waiter("stack_create_complete").wait(
            StackName=self.name, WaiterConfig={"Delay": 1}
        )

    def status(self) -> str:
        try:
            found = self.client.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError:
            return "gone"
        return str(found[0]["StackStatus"])

    def says(self) -> str | None:
        """What really is in SSM."""
        try:
            found = self.of("ssm").get_parameter(Name=f"/{self.name}/said")
        except ClientError:
            return None
        return str(found["Parameter"]["Value"])

    def executions(self) -> int:
        """How often the stack was made or changed."""
        events = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        begun = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
        return sum(
            event["ResourceStatus"] in begun
            for event in events
            if event["PhysicalResourceId"] == event["StackId"]
        )
