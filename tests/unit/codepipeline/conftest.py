"""Declarations small enough to read, and a catalogue that does not change."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_delivery.codepipeline.declaration import Declaration
from prefect_delivery.codepipeline.reading import declarations_in
from prefect_delivery.definition.catalogue import Catalogue

Data = dict[str, Any]
Declared = Callable[..., Declaration]
OWN = ("build/commands", "approval/manual", "rule/variable-check")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """Few of our actions and none of AWS, whatever is written one day."""
    shipped = Catalogue.load()
    return Catalogue(actions={name: shipped.actions[name] for name in OWN})


def source(**more: Any) -> Data:
    return {
        "name": "Source",
        "actionTypeId": kind("Source", "CodeStarSourceConnection"),
        "configuration": {
            "ConnectionArn": "arn:aws:codeconnections:eu-west-1:111122223333:connection/x",
            "FullRepositoryId": "acme/shop",
            "BranchName": "main",
        },
        "outputArtifacts": [{"name": "App"}],
        "namespace": "SourceVariables",
        **more,
    }


def kind(category: str, provider: str, owner: str = "AWS") -> Data:
    return {
        "category": category,
        "owner": owner,
        "provider": provider,
        "version": "1",
    }


def deploy(**more: Any) -> Data:
    return {
        "name": "Site",
        "actionTypeId": kind("Deploy", "S3"),
        "runOrder": 2,
        "configuration": {"BucketName": "shop-site", "Extract": "true"},
        "inputArtifacts": [{"name": "App"}],
        "region": "eu-west-1",
        **more,
    }


def pipeline(*actions: Data, **more: Any) -> Data:
    """A pipeline with a source, and these actions in its second stage."""
    stage: Data = {"name": "Release", "actions": list(actions) or [deploy()]}
    stage |= more.pop("stage", {})
    return {
        "name": "shop",
        "roleArn": "arn:aws:iam::111122223333:role/pipeline",
        "artifactStore": {"type": "S3", "location": "shop-artifacts"},
        "stages": [{"name": "Source", "actions": [source()]}, stage],
        "version": 3,
        **more,
    }


@pytest.fixture
def declared(tmp_path: Path) -> Declared:
    """Reads data as a file that was downloaded."""

    def read(data: Data, name: str = "pipeline.json") -> Declaration:
        file = tmp_path / name
        file.write_text(json.dumps(data, indent=2))
        (found,) = declarations_in(file).values()
        return found

    return read
