"""Files of artifacts that a configuration names as `Artifact::file`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect_delivery.actions import ActionFailed, Artifact, Job
from prefect_delivery.blocks.cloudformation_changes import inside


@dataclass(frozen=True)
class ArtifactFiles:
    """Reads files of a few artifacts, each of which is unpacked when first needed.

    Attributes:
        artifacts: By name.
        folder: Where they are unpacked.
    """

    artifacts: Mapping[str, Artifact]
    folder: Path

    def text(self, path: str) -> str:
        """Text of a file.

        Args:
            path: `Artifact::file`; of a single artifact the name may be left out.

        Raises:
            ActionFailed: There is no such artifact or file.
        """
        name, separator, file = path.partition("::")
        if not separator:
            name, file = next(iter(self.artifacts), ""), path
            if len(self.artifacts) != 1:
                raise ActionFailed(f"'{path}' must name its artifact: 'artifact::file'")
        return inside(self._unpacked(name), file)

    def json(self, path: str) -> Any:
        """What a JSON file says.

        Raises:
            ActionFailed: There is none, or it is no JSON.
        """
        return as_json(self.text(path), f"'{path}'")

    def named(self, name: str) -> Artifact:
        """An artifact.

        Raises:
            ActionFailed: None of the inputs has that name.
        """
        if name not in self.artifacts:
            raise ActionFailed(
                f"'{name}' is none of the inputs",
                hint=f"inputs: {', '.join(self.artifacts) or 'none'}",
            )
        return self.artifacts[name]

    def _unpacked(self, name: str) -> Path:
        artifact = self.named(name)
        folder = self.folder / artifact.digest
        if not folder.exists():
            artifact.unpack(folder)
        return folder


@contextmanager
def artifact_files(
    artifacts: Mapping[str, Artifact], job: Job
) -> Iterator[ArtifactFiles]:
    """The files of some artifacts, for as long as the block lasts."""
    with job.workspace() as folder:
        yield ArtifactFiles(artifacts, folder)


def as_json(text: str, what: str) -> Any:
    """What a text says.

    Raises:
        ActionFailed: It is no JSON; names `what`, line and column.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ActionFailed(
            f"{what} is no JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
