"""What is done on an instance of EC2, as a shell script."""

import posixpath
from dataclasses import dataclass
from shlex import quote
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from prefect_delivery.actions import ActionFailed
from prefect_delivery.appspec.loader import load_appspec
from prefect_delivery.appspec.models import HostAppspec
from prefect_delivery.definition.reader import read

_BEFORE = ("BeforeInstall",)
_AFTER = ("AfterInstall", "ApplicationStart", "ValidateService")
"""Events of an appspec before and after its files are copied."""

Script = tuple[str, int | None, str | None]
"""Path in the artifact, seconds it may take, user it runs as."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What an instance does with the artifact.

    Attributes:
        files: Paths in the artifact, each with the folder that it is copied into.
    """

    before: tuple[Script, ...]
    files: tuple[tuple[str, str], ...]
    after: tuple[Script, ...]

    @classmethod
    def plain(cls, folder: str, before: str | None, after: str | None) -> "Steps":
        """The whole artifact into one folder, with a script before and one after."""
        return cls(
            before=((before, None, None),) if before else (),
            files=(("/", folder),),
            after=((after, None, None),) if after else (),
        )


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class _Script(_Model):
    location: str
    timeout: int | None = Field(default=None, gt=0)
    runas: str | None = None

    @property
    def step(self) -> Script:
        return self.location, self.timeout, self.runas


class _File(_Model):
    source: str
    destination: str


class _Scripts(_Model):
    before: list[_Script] = Field(default=[], alias="BeforeDeploy")
    after: list[_Script] = Field(default=[], alias="AfterDeploy")


class _DeploySpec(_Model):
    version: Annotated[Literal["0.1"], BeforeValidator(str)]
    files: list[_File]
    scripts: _Scripts = _Scripts()


def read_steps(text: str, file: str) -> Steps:
    """Read a deploy spec, or an appspec for hosts.

    Of an appspec the files and the events BeforeInstall, AfterInstall, ApplicationStart
    and ValidateService are carried out.

    Raises:
        ActionFailed: It says something else; names the place.
        DefinitionError: It is no YAML, or no appspec; names the place.

    Source: CodePipeline user guide, "Deploy spec file reference".
    """
    data: Any = read(text, file).root.data
    if isinstance(data, dict) and str(data.get("version")) in {"0", "0.0"}:
        return _of_appspec(text, file)
    try:
        spec = _DeploySpec.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ActionFailed(f"'{file}': {place or 'it'}: {first['msg']}") from error
    return Steps(
        before=tuple(each.step for each in spec.scripts.before),
        files=tuple((each.source, each.destination) for each in spec.files),
        after=tuple(each.step for each in spec.scripts.after),
    )


def _of_appspec(text: str, file: str) -> Steps:
    found = load_appspec(text, file)
    if not isinstance(found, HostAppspec) or found.os != "linux":
        raise ActionFailed(f"'{file}' is no appspec for Linux hosts")

    def steps(events: tuple[str, ...]) -> tuple[Script, ...]:
        return tuple(
            (each.location, each.timeout, each.runas)
            for event in events
            for each in found.hooks.get(event, ())
        )

    return Steps(
        before=steps(_BEFORE),
        files=tuple((each.source, each.destination) for each in found.files),
        after=steps(_AFTER),
    )


def script_of(steps: Steps, *, source: str, digest: str, mark: str) -> str:
    """The script; it does nothing where it was carried out before.

    Args:
        source: Address of the artifact's zip archive in S3.
        digest: Digest of the artifact.
        mark: Name of the file in which an instance notes the digest.
    """
    lines = [
        "#!/bin/sh",
        "set -eu",
        "state=${PREFECT_DELIVERY_STATE:-/var/lib/prefect-delivery}",
        'mkdir -p "$state"',
        f'mark="$state"/{mark}',
        # The same script, sent twice, runs once.
        'exec 9>"$mark.lock"',
        "flock 9",
        f'if [ "$(cat "$mark" 2>/dev/null)" = {digest} ]; then',
        "  echo 'it is here already'",
        "  exit 0",
        "fi",
        "work=$(mktemp -d)",
        "trap 'rm -rf \"$work\"' EXIT",
        'chmod 755 "$work"',
        f'aws s3 cp --only-show-errors {quote(source)} "$work/bundle.zip"',
        'unzip -q "$work/bundle.zip" -d "$work/tree"',
        'cd "$work/tree"',
        *(line for each in steps.before for line in _script(each)),
        *(line for pair in steps.files for line in _copy(*pair)),
        *(line for each in steps.after for line in _script(each)),
        f'echo {digest} > "$mark"',
    ]
    return "\n".join(lines) + "\n"


def _script(script: Script) -> list[str]:
    location, seconds, user = script
    path = quote(f"./{_relative(location)}")
    limit = f"timeout {seconds} " if seconds else ""
    as_user = f"runuser -u {quote(user)} -- " if user else ""
    # Scripts must not keep the lock by what they leave running.
    return [f"chmod +x {path}", f"{limit}{as_user}{path} 9>&-"]


def _copy(source: str, destination: str) -> list[str]:
    folder = quote(destination)
    path = quote(f"./{_relative(source)}")
    return [
        f"mkdir -p -- {folder}",
        f"if [ -d {path} ]; then cp -a {path}/. {folder}/; else cp -a {path} {folder}/; fi",
    ]


def _relative(path: str) -> str:
    """A path inside of the artifact.

    Raises:
        ActionFailed: It leads out of it.
    """
    found = posixpath.normpath(path.strip("/") or ".")
    if found == ".." or found.startswith("../"):
        raise ActionFailed(f"'{path}' leads out of the artifact")
    return found
