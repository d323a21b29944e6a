"""What a stack of CloudFormation shall be, and the names of its change sets.

CloudFormation keeps no notes on a stack but its tags, and a new tag would touch every
resource. So the names of change sets say which release a stack serves, and under which
lease: AWS removes them as soon as somebody executes another.
"""

import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prefect_delivery.errors import ActionFailed

Data = dict[str, Any]

TEMPLATE: Final = "template"
CONFIGURATION: Final = "configuration.json"
"""Files of an artifact that was made of what a stack was, or of an action's inputs."""
PREVIOUS: Final = "****"
"""What CloudFormation answers in place of a secret parameter: keep the value."""
CAPABILITIES: Final = (
    "CAPABILITY_IAM",
    "CAPABILITY_NAMED_IAM",
    "CAPABILITY_AUTO_EXPAND",
)
_NAME = re.compile(r"prefect-delivery-(plan|serves)-(\d+)-([0-9a-f]{64})-[0-9a-f]{8}")
_TOKEN = re.compile(r"delivery-([0-9a-f]{32})-[0-9a-f]{8}-(\w+)")


class Configuration(BaseModel):
    """A template configuration file.

    Source: CodePipeline user guide, "CloudFormation deploy action reference".
    """

    model_config = ConfigDict(extra="forbid")

    parameters: dict[str, str] = Field(default={}, alias="Parameters")
    tags: dict[str, str] | None = Field(default=None, alias="Tags")
    policy: Data | None = Field(default=None, alias="StackPolicy")

    @classmethod
    def read(cls, text: str, file: str) -> "Configuration":
        """What a file says.

        Raises:
            ActionFailed: It is no JSON, or says something else; names file and key.
        """
        try:
            found = json.loads(text)
            for part in ("Parameters", "Tags"):
                if isinstance(found, dict) and isinstance(found.get(part), dict):
                    found[part] = {k: as_text(v) for k, v in found[part].items()}
            return cls.model_validate(found)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ActionFailed(f"{file}: {place or 'file'}: {first['msg']}") from error
        except ValueError as error:
            raise ActionFailed(f"{file} is no JSON: {error}") from error

    def written(self) -> str:
        """The file again, the same for equal content."""
        said = self.model_dump(by_alias=True, exclude_none=True)
        return json.dumps(said, sort_keys=True, indent=1)


@dataclass(frozen=True)
class Wanted:
    """A template and the values that go with it.

    Attributes:
        configuration: Without `tags`, the stack keeps those that it has.
    """

    template: str
    configuration: Configuration

    @classmethod
    def of(
        cls,
        folder: Path,
        template: str,
        configuration: str | None,
        parameters: dict[str, str],
    ) -> "Wanted":
        """What files of a folder say; `parameters` go before those of the file.

        Raises:
            ActionFailed: A file is missing or malformed.
        """
        said = Configuration()
        if configuration:
            said = Configuration.read(inside(folder, configuration), configuration)
        merged = {**said.parameters, **parameters}
        return cls(
            inside(folder, template), said.model_copy(update={"parameters": merged})
        )

    def write(self, folder: Path) -> None:
        """Write it as files, from which `of` makes it again."""
        (folder / TEMPLATE).write_text(self.template, encoding="utf-8")
        text = self.configuration.written()
        (folder / CONFIGURATION).write_text(text, encoding="utf-8")

    def asked(self) -> Data:
        """Parameters and tags, as CreateChangeSet takes them."""
        tags = self.configuration.tags
        values = self.configuration.parameters.items()
        return {
            "Parameters": [
                {"ParameterKey": key, "UsePreviousValue": True}
                if value == PREVIOUS
                else {"ParameterKey": key, "ParameterValue": value}
                for key, value in sorted(values)
            ],
            **({} if tags is None else {"Tags": as_tags(tags)}),
        }


@dataclass(frozen=True, kw_only=True)
class ChangeSet:
    """A change set of ours.

    Attributes:
        kind: `plan` for what may be executed, `serves` for a mark that a stack has
            reached the release.
        fence: The lease under which it was made.
        release: Digest of the release.
    """

    kind: Literal["plan", "serves"]
    fence: int
    release: str
    name: str = ""
    identifier: str = ""
    made: datetime | None = None
    executable: bool = False

    @classmethod
    def of(cls, summary: Data) -> "ChangeSet | None":
        """A change set as CloudFormation lists it; None when it is not ours."""
        found = _NAME.fullmatch(summary["ChangeSetName"])
        if not found:
            return None
        kind, fence, release = found.groups()
        return cls(
            kind="plan" if kind == "plan" else "serves",
            fence=int(fence),
            release=release,
            name=summary["ChangeSetName"],
            identifier=summary["ChangeSetId"],
            made=summary["CreationTime"],
            executable=summary.get("ExecutionStatus") == "AVAILABLE",
        )

    def is_like(self, other: "ChangeSet") -> bool:
        """Whether both are of one kind, lease and release."""
        return (self.kind, self.fence, self.release) == (
            other.kind,
            other.fence,
            other.release,
        )

    def new_name(self) -> str:
        """A name for it that no other has."""
        chance = uuid.uuid4().hex[:8]
        return f"prefect-delivery-{self.kind}-{self.fence}-{self.release}-{chance}"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What an operation on a stack is known by: the token of its events.

    Attributes:
        release: The first half of the digest of the release that goes in.
        before: What it replaces: `created` for nothing, `release` for a release, else
            the digest of an artifact that was made of the stack.
        token: As CloudFormation has it.
    """

    release: str
    before: str
    token: str = field(default="", compare=False)

    @classmethod
    def new(cls, release: str, before: str) -> "Operation":
        token = f"delivery-{release[:32]}-{uuid.uuid4().hex[:8]}-{before}"
        return cls(release=release[:32], before=before, token=token)

    @classmethod
    def of(cls, events: list[Data]) -> "Operation | None":
        """The newest operation, when it was ours.

        Args:
            events: The newest first.
        """
        for event in events:
            if event.get("PhysicalResourceId") == event["StackId"]:
                token = event.get("ClientRequestToken", "")
                found = _TOKEN.fullmatch(token)
                return (
                    cls(release=found[1], before=found[2], token=token)
                    if found
                    else None
                )
        return None


def failure(events: list[Data], token: str | None = None) -> str:
    """Why an operation failed, by the first resource that did.

    Args:
        events: The newest first.
        token: That of the operation; None for one without.
    """
    for event in reversed([e for e in events if e.get("ClientRequestToken") == token]):
        if event["ResourceStatus"].endswith("_FAILED"):
            reason = event.get("ResourceStatusReason") or "no reason given"
            return f"{event['LogicalResourceId']}: {reason}"
    return "no reason given"


def inside(folder: Path, name: str) -> str:
    """Text of a file of an artifact.

    Raises:
        ActionFailed: There is none, it is outside, or no text.
    """
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise ActionFailed(f"the artifact has no file '{name}'")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ActionFailed(f"'{name}' is no text in UTF-8") from error


def as_text(value: Any) -> str:
    """A parameter's value: lists become comma-separated, as CloudFormation has them."""
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case list():
            return ",".join(as_text(each) for each in value)
        case _:
            return json.dumps(value)


def as_tags(tags: dict[str, str]) -> list[Data]:
    """Tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
