"""A pipeline as CodePipeline declares it, with everything that its file says."""

from dataclasses import dataclass, field
from typing import Any

from prefect_delivery.codepipeline.redacted import redacted
from prefect_delivery.codepipeline.service_model import Checked, check_shape
from prefect_delivery.codepipeline.structure import check_structure
from prefect_delivery.definition.document import Document
from prefect_delivery.definition.findings import Finding, Path, meant, named

_BESIDE = {
    "metadata": "PipelineMetadata",
    "tags": "TagList",
}
_ANSWER = "ResponseMetadata"
"""What boto3 adds to each answer."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A declaration that was checked.

    Attributes:
        pipeline: The declaration itself, without secrets.
        beside: What stood beside it: metadata, tags.
        bare: It stood alone, without `pipeline:` around it.
        root: Where it stands in its file.
        document: Its file, to show places of.
        warnings: What CodePipeline may not like.
    """

    pipeline: dict[str, Any]
    document: Document
    beside: dict[str, Any] = field(default_factory=dict[str, Any])
    bare: bool = False
    root: Path = ()
    warnings: list[Finding] = field(default_factory=list[Finding])

    def as_data(self) -> dict[str, Any]:
        """The file's data."""
        if self.bare:
            return self.pipeline
        return {"pipeline": self.pipeline, **self.beside}


def read_declaration(document: Document) -> Declaration:
    """The declaration in a file: `get-pipeline`, `create-pipeline`, or bare.

    Raises:
        DefinitionError: With everything that AWS would refuse, each at its place.
    """
    data = document.root.data
    bare = isinstance(data, dict) and "pipeline" not in data
    found = Checked()
    root: Path = () if bare else ("pipeline",)
    if not isinstance(data, dict):
        found.error((), "a declaration must be a mapping")
        raise document.error(found.errors)
    pipeline = data if bare else data["pipeline"]
    check_shape(pipeline, "PipelineDeclaration", root, found)
    beside = {} if bare else {k: v for k, v in data.items() if k != "pipeline"}
    for key, value in beside.items():
        if key in _BESIDE:
            check_shape(value, _BESIDE[key], (key,), found)
        elif key != _ANSWER:
            close = meant(key, _BESIDE)
            found.error((key,), f"unknown key {named(key)}{close}", key=True)
    if not found.errors:
        check_structure(pipeline, root, found)
    if found.errors:
        raise document.error(found.errors)
    return Declaration(
        pipeline=redacted(pipeline),
        beside=redacted(beside),
        bare=bare,
        root=root,
        document=document,
        warnings=found.warnings,
    )
