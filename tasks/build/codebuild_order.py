"""What is asked of CodeBuild: from an action's configuration to StartBuild."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from prefect_delivery.actions import ActionFailed, Artifact, Patterns
from prefect_delivery.tasks.bundles import PREFIX, Bundles

Variables = list[dict[str, str]] | str
"""`[{name, value, type}]`, or the JSON of it, as CodePipeline has it."""

MARK: Final = "PREFECT_DELIVERY_KEY"
"""Variable by which a build is found that was started by a process which then died."""
_TYPES: Final = {"PLAINTEXT", "PARAMETER_STORE", "SECRETS_MANAGER"}


@dataclass(frozen=True, kw_only=True)
class Order:
    """A build, or a batch of builds, of a project.

    Attributes:
        artifacts: Sources by name; the first is the primary one unless another is named.
        outputs: Artifacts to take from the build, each with the patterns of its files.
    """

    project: str
    artifacts: dict[str, Artifact]
    primary: str | None = None
    batch: bool = False
    combine: bool = False
    buildspec: str | None = None
    variables: Variables = field(default_factory=list[dict[str, str]])
    service_role: str | None = None
    outputs: Patterns = field(default_factory=dict[str, list[str]])
    timeout: float = 2160

    def check(self) -> None:
        """See whether CodeBuild could carry it out.

        Raises:
            ActionFailed: Says what does not fit together.
        """
        if len(self.artifacts) > 5 or len(self.outputs) > 5:
            raise ActionFailed("CodeBuild takes and leaves at most 5 artifacts")
        if self.primary and self.primary not in self.artifacts:
            raise ActionFailed(
                f"primary_source '{self.primary}' is none of the inputs",
                hint=f"inputs: {', '.join(self.artifacts) or 'none'}",
            )
        if len(self.artifacts) > 1 and not self.primary:
            raise ActionFailed("of several inputs one must be named: primary_source")
        if self.combine and not self.batch:
            raise ActionFailed("combine_artifacts needs batch_enabled")

    def request(self, bundles: Bundles | None, token: str) -> dict[str, Any]:
        """The parameters of StartBuild or StartBuildBatch; uploads the sources.

        Args:
            bundles: Where artifacts go through; None when there are none.
        """
        variables = [*self._variables(), {"name": MARK, "value": token}]
        return {
            "projectName": self.project,
            "idempotencyToken": token,
            "environmentVariablesOverride": variables,
            **({"buildspecOverride": self.buildspec} if self.buildspec else {}),
            **({"serviceRoleOverride": self.service_role} if self.service_role else {}),
            **(self._sources(bundles) if bundles and self.artifacts else {}),
            **self._artifacts(bundles, token),
        }

    def _sources(self, bundles: Bundles) -> dict[str, Any]:
        primary = self.primary or next(iter(self.artifacts))
        places = {
            name: f"{bundles.bucket}/{bundles.put(artifact)}"
            for name, artifact in self.artifacts.items()
        }
        return {
            "sourceTypeOverride": "S3",
            "sourceLocationOverride": places.pop(primary),
            "secondarySourcesOverride": [
                {"type": "S3", "location": place, "sourceIdentifier": identifier(name)}
                for name, place in places.items()
            ],
        }

    def _artifacts(self, bundles: Bundles | None, token: str) -> dict[str, Any]:
        none = {"type": "NO_ARTIFACTS"}
        if bundles is None or not self.outputs:
            return {"artifactsOverride": none, "secondaryArtifactsOverride": []}
        places = {
            name: {
                "type": "S3",
                "location": bundles.bucket,
                "path": f"{PREFIX}/builds/{token}",
                "name": f"{name}.zip",
                # The builds of a batch must not overwrite each other's.
                "namespaceType": "BUILD_ID" if self.batch else "NONE",
                "packaging": "ZIP",
                "overrideArtifactName": False,
            }
            for name in self.outputs
        }
        if len(places) == 1 or self.batch:
            first = next(iter(places.values()))
            return {"artifactsOverride": first, "secondaryArtifactsOverride": []}
        return {
            "artifactsOverride": none,
            "secondaryArtifactsOverride": [
                {**place, "artifactIdentifier": identifier(name)}
                for name, place in places.items()
            ],
        }

    def _variables(self) -> list[dict[str, str]]:
        given = self.variables
        if isinstance(given, str):
            try:
                given = json.loads(given) if given.strip() else []
            except ValueError as error:
                raise ActionFailed(f"environment_variables: {error}") from error
        try:
            found = TypeAdapter(list[dict[str, str]]).validate_python(given)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise ActionFailed(f"environment_variables: {said}") from error
        for each in found:
            if not {"name", "value"} <= each.keys() <= {"name", "value", "type"}:
                raise ActionFailed("environment_variables: each has a name and a value")
            if each.get("type", "PLAINTEXT") not in _TYPES:
                raise ActionFailed(f"environment_variables: no type '{each['type']}'")
        return found


def identifier(name: str) -> str:
    """An artifact's name as CodeBuild allows it for a source or an artifact."""
    return re.sub(r"\W", "_", name, flags=re.ASCII)
