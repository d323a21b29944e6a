"""Operations on stack sets of CloudFormation, and how CodePipeline writes their values."""

import re
import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.blocks.aws_session import (
    code_of,
    patient,
    start_or_attach,
    stop_with,
    token_of,
)
from prefect_delivery.blocks.cloudformation_changes import as_text
from prefect_delivery.tasks.deploy.artifact_files import ArtifactFiles, as_json

ConcurrencyMode = Literal["STRICT_FAILURE_TOLERANCE", "SOFT_FAILURE_TOLERANCE"]
Data = dict[str, Any]

INTERVAL: Final = 5.0
"""Seconds between two looks at an operation."""
_PARAMETER = re.compile(
    r'ParameterKey=([^,\s]+),(?:ParameterValue=("[^"]*"|\S*)|(UsePreviousValue)=true)'
)
_KINDS: Final = ("Accounts", "OrganizationalUnitIds")


@dataclass(frozen=True)
class StackSet:
    """A stack set, and the action that works on it.

    Attributes:
        client: Of CloudFormation.
        timeout: Minutes until an operation is stopped.
    """

    client: Any
    name: str
    job: Job
    timeout: float

    def described(self) -> Data | None:
        """The stack set; None when there is none."""
        try:
            found: Data = self.client.describe_stack_set(StackSetName=self.name)
        except ClientError as error:
            if code_of(error) != "StackSetNotFoundException":
                raise
            return None
        return dict(found["StackSet"])

    def operate(self, what: str, start: Any, asked: Data) -> str:
        """Start an operation once, wait for its end; its id.

        An operation before it is waited for, as CloudFormation takes one at a time.

        Args:
            what: Tells it from other operations of the action.
            start: Method of the client that takes an operation id.

        Raises:
            ActionFailed: It failed in more stacks than may fail; names the first.
        """
        operation = str(uuid.UUID(token_of(self.job, what)[:32]))
        if not self._is_there(operation):
            self._free()
            start_or_attach(self._plain, lambda: self._started(start, operation, asked))
        place = {"StackSetName": self.name, "OperationId": operation}
        stop_with(
            self.job,
            lambda: self.client.stop_stack_set_operation(**place),
            f"operation {operation}",
        )

        def ended() -> Data | None:
            found: Data = self.client.describe_stack_set_operation(**place)[
                "StackSetOperation"
            ]
            going_on = found["Status"] in {"RUNNING", "QUEUED", "STOPPING"}
            return None if going_on else found

        probe = patient(self.job, ended)
        found = self.job.poll(probe, timeout=self.timeout, interval=INTERVAL)
        if found["Status"] != "SUCCEEDED":
            raise ActionFailed(
                self.job.reason
                if self.job.cancelled.is_set()
                else f"operation on {self.name} {found['Status']}: {self._why(place)}"
            )
        return operation

    @property
    def _plain(self) -> Job:
        # The operation's id is known before the call, so none needs to be noted.
        return Job(log=self.job.log)

    def _started(self, start: Any, operation: str, asked: Data) -> str:
        try:
            start(StackSetName=self.name, OperationId=operation, **asked)
        except ClientError as error:
            # The answer to an earlier attempt got lost.
            if code_of(error) != "OperationIdAlreadyExistsException":
                raise
        return operation

    def _is_there(self, operation: str) -> bool:
        try:
            self.client.describe_stack_set_operation(
                StackSetName=self.name, OperationId=operation
            )
        except ClientError as error:
            if code_of(error) != "OperationNotFoundException":
                raise
            return False
        return True

    def _free(self) -> None:
        def probe() -> bool | None:
            found = self.client.list_stack_set_operations(
                StackSetName=self.name, MaxResults=10
            )["Summaries"]
            busy = any(e["Status"] in {"RUNNING", "STOPPING"} for e in found)
            return None if busy else True

        self.job.poll(patient(self.job, probe), timeout=self.timeout, interval=INTERVAL)

    def _why(self, place: Data) -> str:
        found = self.client.list_stack_set_operation_results(**place)["Summaries"]
        for each in found:
            if each["Status"] in {"FAILED", "CANCELLED"} and each.get("StatusReason"):
                where = f"{each.get('Account', '?')} {each.get('Region', '?')}"
                return f"{where}: {each['StatusReason']}"
        return "no reason given"


def targets(text: str, files: ArtifactFiles, *, managed: bool) -> Data:
    """Accounts or organizational units, as CloudFormation takes them.

    Args:
        text: `Accounts=1,2`, `OrganizationalUnitIds=ou-1`, or `artifact::file` with the
            JSON of a list of accounts or of a mapping with one of these keys.
        managed: Whether the permissions are those of the organization.

    Raises:
        ActionFailed: It is none of these.
    """
    found: Any = as_json(files.text(text), f"'{text}'") if "::" in text else text
    if isinstance(found, str):
        key, separator, listed = found.partition("=")
        parts = [part.strip() for part in (listed if separator else key).split(",")]
        found = {key.strip() if separator else "Accounts": [p for p in parts if p]}
    if isinstance(found, list):
        found = {"Accounts": found}
    if not (
        isinstance(found, dict)
        and len(found) == 1
        and all(key in _KINDS and isinstance(v, list) and v for key, v in found.items())
    ):
        raise ActionFailed(
            f"deployment_targets '{text}' names no accounts",
            hint="write Accounts=111122223333 or OrganizationalUnitIds=ou-1",
        )
    found = {key: [str(each) for each in value] for key, value in found.items()}
    # Without the organization's permissions, accounts have another place.
    if not managed and "Accounts" in found:
        return {"Accounts": found["Accounts"]}
    return {"DeploymentTargets": found}


def listed_parameters(text: str | None, files: ArtifactFiles) -> list[Data]:
    """Parameters, as CloudFormation takes them.

    Args:
        text: `ParameterKey=A,ParameterValue=1 ParameterKey=B,UsePreviousValue=true`, or
            `artifact::file` with a JSON list of such objects or a mapping.

    Raises:
        ActionFailed: It is neither.
    """
    if not text:
        return []
    if "::" in text and "ParameterKey=" not in text:
        return _listed(files.json(text), text)
    rest = _PARAMETER.sub("", text).strip(" ,\n")
    if rest:
        raise ActionFailed(
            f"'{rest}' is no parameter",
            hint="write ParameterKey=A,ParameterValue=1, with quotes around spaces",
        )
    return [
        {"ParameterKey": key, "UsePreviousValue": True}
        if previous
        else {"ParameterKey": key, "ParameterValue": value.strip('"')}
        for key, value, previous in _PARAMETER.findall(text)
    ]


def preferences(
    failures: int | None, at_once: int | None, mode: str | None, regions: list[str]
) -> Data:
    """How many stacks may fail and change at once, in percent, and in which order."""
    found = {
        "FailureTolerancePercentage": failures,
        "MaxConcurrentPercentage": at_once,
        "ConcurrencyMode": mode,
        "RegionOrder": regions or None,
    }
    given = {key: value for key, value in found.items() if value is not None}
    return {"OperationPreferences": given} if given else {}


def _listed(found: Any, text: str) -> list[Data]:
    if isinstance(found, dict):
        found = [
            {"ParameterKey": key, "ParameterValue": as_text(value)}
            for key, value in found.items()
        ]
    allowed = {"ParameterKey", "ParameterValue", "UsePreviousValue"}
    if not isinstance(found, list) or not all(
        isinstance(each, dict) and "ParameterKey" in each and each.keys() <= allowed
        for each in found
    ):
        raise ActionFailed(
            f"'{text}' must be a JSON list of ParameterKey and ParameterValue"
        )
    return found
