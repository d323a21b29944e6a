"""A stack of CloudFormation and its change sets, as requests that may be repeated."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.aws_environment import ONE_ATTEMPT
from prefect_delivery.blocks.aws_session import AwsSession, code_of
from prefect_delivery.blocks.cloudformation_changes import (
    CAPABILITIES,
    CONFIGURATION,
    TEMPLATE,
    ChangeSet,
    Configuration,
    Data,
    Operation,
    Wanted,
    failure,
)
from prefect_delivery.errors import ActionFailed

STEADY: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
"""States of a stack that works and can be updated."""
NEW: Final = frozenset({"", "REVIEW_IN_PROGRESS", "DELETE_COMPLETE"})
"""States before there is a stack; the empty one is ours."""
_GONE = {"", "DELETE_COMPLETE"}
_REACHED = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}
_EMPTY = ("didn't contain changes", "No updates are to be performed")
_LARGEST_BODY: Final = 51_200
"""Bytes of a template that a request may hold; larger ones go through S3."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack, whether it exists or not.

    Attributes:
        role: ARN of the role that CloudFormation takes on.
        bucket: Where large templates go through.
        until: Asks again and again until there is an answer.
        once: Does what has no token: looks first, and again when nobody knows.
    """

    aws: AwsSession
    name: str
    role: str | None
    capabilities: list[str]
    bucket: str | None
    until: Callable[[Callable[[], Any], str], Any]
    once: Callable[[Callable[[], bool], Callable[[], object]], None]
    client: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "client", self.aws.client("cloudformation"))

    def described(self) -> Data:
        """The stack, with its status; with an empty one when there is none."""
        try:
            found: Data = self.client.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if code_of(error) == "ValidationError" and "does not exist" in str(error):
                return {"StackStatus": ""}
            raise
        return found

    def settled(self) -> Data:
        """The stack, once nothing goes on in it; a rollback that hangs is continued."""
        what = f"what goes on in stack {self.name}"
        stack: Data = self.until(self._at_rest, what)
        if stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED":
            self.client.continue_update_rollback(StackName=self.name)
            stack = self.until(self._at_rest, what)
        return stack

    def change_sets(self) -> list[ChangeSet]:
        """Those of ours."""
        try:
            pages = self.client.get_paginator("list_change_sets").paginate(
                StackName=self.name
            )
            found = [ChangeSet.of(each) for page in pages for each in page["Summaries"]]
        except ClientError as error:
            if code_of(error) == "ValidationError" and "does not exist" in str(error):
                return []
            raise
        return [each for each in found if each]

    def mark(self, stack: Data) -> ChangeSet | None:
        """The release that the stack was marked with since it was changed last."""
        if stack["StackStatus"] not in STEADY:
            return None
        changed = stack.get("LastUpdatedTime") or stack["CreationTime"]
        marks = [
            each
            for each in self.change_sets()
            if each.kind == "serves" and each.made and each.made >= changed
        ]
        return max(marks, key=lambda each: str(each.made), default=None)

    def set_mark(self, release: str, fence: int) -> None:
        """Note which release the stack has reached."""
        mark = ChangeSet(kind="serves", fence=fence, release=release).new_name()
        keys = [each["ParameterKey"] for each in self.described().get("Parameters", [])]
        self._create(
            mark,
            ChangeSetType="UPDATE",
            UsePreviousTemplate=True,
            Capabilities=[*CAPABILITIES],
            Parameters=[{"ParameterKey": k, "UsePreviousValue": True} for k in keys],
            Description="Notes which release the stack runs. Not to be executed.",
        )
        self.until(lambda: None if self._is_pending(mark) else True, f"mark {mark}")

    def tidy(self) -> None:
        """Remove our change sets but the mark."""
        mark = self.mark(self.described())
        for each in self.change_sets():
            if mark is None or each.name != mark.name:
                self.client.delete_change_set(ChangeSetName=each.identifier)

    def plan(self, name: str, wanted: Wanted, note: str = "") -> bool:
        """Make a change set; says whether it holds any changes.

        Raises:
            ActionFailed: CloudFormation refuses it.
        """
        exists = self.described()["StackStatus"] not in NEW
        self._create(
            name,
            ChangeSetType="UPDATE" if exists else "CREATE",
            Capabilities=self.capabilities,
            **self._template(wanted.template),
            **wanted.asked(),
            **({"Description": note} if note else {}),
        )
        return self.is_plan(name)

    def is_plan(self, name: str) -> bool:
        """Whether a change set holds changes, once CloudFormation knows.

        Raises:
            ActionFailed: CloudFormation refuses it, or there is none.
        """
        what = f"change set {name}"
        self.until(lambda: None if self._is_pending(name) else True, what)
        found = self.change_set(name)
        reason = found.get("StatusReason", "")
        if found.get("Status") == "CREATE_COMPLETE":
            return True
        if any(said in reason for said in _EMPTY):
            return False
        raise ActionFailed(f"CloudFormation refuses {what}: {reason or 'it is gone'}")

    def change_set(self, name: str) -> Data:
        """A change set; empty when there is none."""
        try:
            found: Data = self.client.describe_change_set(
                StackName=self.name, ChangeSetName=name
            )
        except ClientError as error:
            if code_of(error) in {"ChangeSetNotFound", "ChangeSetNotFoundException"}:
                return {}
            if code_of(error) == "ValidationError" and "does not exist" in str(error):
                return {}
            raise
        return found

    def remove(self, name: str) -> None:
        """Delete a change set, and wait until it is gone."""
        self.client.delete_change_set(StackName=self.name, ChangeSetName=name)
        what = f"the deletion of change set {name}"
        self.until(lambda: None if self.change_set(name) else True, what)

    def execute(self, plan: str, operation: Operation) -> None:
        """Execute a change set once, and wait for the end.

        Raises:
            ActionFailed: It failed; what was there is back, where that was possible.
        """
        token = operation.token
        client = self.aws.client("cloudformation", ONE_ATTEMPT)
        self.once(
            lambda: any(e.get("ClientRequestToken") == token for e in self.events()),
            lambda: client.execute_change_set(
                StackName=self.name, ChangeSetName=plan, ClientRequestToken=token
            ),
        )
        try:
            what = f"the change of stack {self.name}"
            stack: Data = self.until(lambda: self._after(token), what)
        except ActionFailed:
            if self.described()["StackStatus"] == "UPDATE_IN_PROGRESS":
                self.client.cancel_update_stack(
                    StackName=self.name, ClientRequestToken=token
                )
            raise
        if stack["StackStatus"] not in _REACHED:
            why = failure(self.events(), token)
            raise ActionFailed(
                f"stack {self.name} is {stack['StackStatus'] or 'gone'}: {why}"
            )

    def events(self) -> list[Data]:
        """What has happened in the stack lately, the newest first."""
        found: list[Data] = self.client.describe_stack_events(StackName=self.name)[
            "StackEvents"
        ]
        return found

    def template(self, change_set: str | None = None) -> str:
        """Template of the stack, or of a change set, as it was given."""
        asked = {"ChangeSetName": change_set} if change_set else {}
        found = self.client.get_template(
            StackName=self.name, TemplateStage="Original", **asked
        )["TemplateBody"]
        # botocore has already read what is JSON.
        return found if isinstance(found, str) else json.dumps(found, indent=1)

    def set_policy(self, configuration: Configuration) -> None:
        """Give the stack the policy that goes with its template, if one does."""
        if configuration.policy is not None:
            self.client.set_stack_policy(
                StackName=self.name, StackPolicyBody=json.dumps(configuration.policy)
            )

    def kept(self, stack: Data) -> str:
        """Keep template, parameters and tags of the stack; the artifact's digest."""
        wanted = Wanted(self.template(), configuration_of(stack))
        with TemporaryDirectory() as name:
            wanted.write(Path(name))
            return Artifact.of(Path(name)).digest

    def restore(self, artifact: str, name: str) -> None:
        """Make the stack again what it was when it was kept."""
        with TemporaryDirectory() as folder:
            Artifact(digest=artifact, size=0).unpack(Path(folder) / "kept")
            wanted = Wanted.of(Path(folder) / "kept", TEMPLATE, CONFIGURATION, {})
        # It was allowed to do all of it before.
        allowed = replace(self, capabilities=[*CAPABILITIES])
        if allowed.plan(name, wanted):
            self.execute(name, Operation.new("0" * 32, "release"))

    def delete(self) -> None:
        """Delete the stack, and wait until it is gone.

        Raises:
            ActionFailed: CloudFormation cannot delete all of it; names a resource.
        """
        stack = self.settled()
        if stack["StackStatus"] in _GONE:
            return
        role = {"RoleARN": self.role} if self.role else {}
        self.client.delete_stack(StackName=stack["StackId"], **role)
        left = self.until(self._ended, f"the deletion of stack {self.name}")
        if left["StackStatus"] not in _GONE:
            why = failure(self.events())
            raise ActionFailed(f"stack {self.name} is {left['StackStatus']}: {why}")

    def _create(self, name: str, **asked: Any) -> None:
        role = {"RoleARN": self.role} if self.role else {}
        try:
            self.client.create_change_set(
                StackName=self.name, ChangeSetName=name, **role, **asked
            )
        except ClientError as error:
            # The name is ours alone: the answer to an earlier attempt got lost.
            if code_of(error) != "AlreadyExistsException":
                raise

    def _template(self, template: str) -> dict[str, str]:
        body = template.encode()
        if len(body) <= _LARGEST_BODY:
            return {"TemplateBody": template}
        bucket = self.aws.bucket(self.bucket)
        key = f"prefect-delivery/templates/{sha256(body).hexdigest()}"
        self.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        return {"TemplateURL": self.aws.object_url(bucket, key)}

    def _at_rest(self) -> Data | None:
        stack = self.described()
        status = stack["StackStatus"]
        return None if status not in NEW and status.endswith("_IN_PROGRESS") else stack

    def _after(self, token: str) -> Data | None:
        """The stack at rest, once the operation of that token has ended."""
        stack = self._at_rest()
        if stack is None:
            return None
        own = [e for e in self.events() if e.get("PhysicalResourceId") == e["StackId"]]
        tokens = [event.get("ClientRequestToken") for event in own]
        # Right after the call, AWS may still answer what was before.
        begun = token in tokens
        same = begun and own[0]["ResourceStatus"] == stack["StackStatus"]
        return stack if same or (begun and tokens[0] != token) else None

    def _ended(self) -> Data | None:
        stack = self.described()
        return stack if stack["StackStatus"] in {*_GONE, "DELETE_FAILED"} else None

    def _is_pending(self, change_set: str) -> bool:
        status = self.change_set(change_set).get("Status", "")
        return bool(status.endswith(("_PENDING", "_IN_PROGRESS")))


def configuration_of(described: Data) -> Configuration:
    """Parameters and tags of a stack or of a change set."""
    return Configuration(
        Parameters={
            each["ParameterKey"]: each.get("ParameterValue", "")
            for each in described.get("Parameters", [])
        },
        Tags={each["Key"]: each["Value"] for each in described.get("Tags", [])},
    )
