"""A double of CodeBuild whose builds run by their buildspec in a real container."""

import tempfile
from pathlib import Path
from typing import Any

from codebuild_double import CodeBuild, Data

from prefect_delivery.actions import ActionFailed, Artifact, Job
from prefect_delivery.tasks.build.buildspec import run_buildspec


class ContainerCodeBuild(CodeBuild):
    """One project, `shop`, that builds in an image.

    Attributes:
        image: What a build runs in; `build/buildspec` is what reads the buildspec.
    """

    def __init__(self, client: Any, image: str) -> None:
        super().__init__(client)
        self.image = image

    def _run(self, build: Data, asked: Data, name: str = "") -> None:
        lines: list[bytes] = []
        failure = None
        with tempfile.TemporaryDirectory() as folder:
            sources = self._sources(asked, Path(folder))
            try:
                made = run_buildspec.fn(
                    Artifact.of(Path(sources["CODEBUILD_SRC_DIR"])),
                    image=self.image,
                    environment={
                        each["name"]: each["value"]
                        for each in asked.get("environmentVariablesOverride", [])
                    },
                    outputs={"primary": ["**"]},
                    job=Job(key=build["id"], log=lambda it: lines.append(it.encode())),
                )
            except ActionFailed as error:
                failure = error.message
            else:
                made.artifacts["primary"].unpack(Path(folder) / "primary")
                everything = {"files": ["**/*"]}
                self._upload(build, asked, everything, Path(folder) / "primary")
                build["exportedEnvironmentVariables"] = [
                    {"name": key, "value": value}
                    for key, value in made.variables.items()
                ]
        self._keep_log(build, lines)
        self._end(build, failure)
