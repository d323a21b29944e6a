"""Releases as templates and parameters of a stack in AWS CloudFormation."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Final

from pydantic import Field

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.aws_environment import AwsEnvironment, check_fence
from prefect_delivery.blocks.aws_session import AwsSession
from prefect_delivery.blocks.cloudformation_api import NEW, STEADY, Stack
from prefect_delivery.blocks.cloudformation_changes import (
    ChangeSet,
    Data,
    Operation,
    Wanted,
)
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Release
from prefect_delivery.permissions import Permission
from prefect_delivery.settings import settings

CHANGE_SET: Final = "cloudformation_change_set"
"""Variable of a release that is a change set which was made before; its ARN."""
ALLOWED: Final = "cloudformation_capabilities"
"""Variable of a release with the capabilities of its template, in place of ours."""
_NONE = "0" * 64
"""In place of a release, in the name of what brings back a stack that was none."""


class CloudFormationStackEnvironment(AwsEnvironment):
    """Run releases as a stack of AWS CloudFormation.

    A release is a template and its parameters. It becomes a change set, which is
    executed; when that fails, CloudFormation brings back what was there, and when a
    check fails, the previous template goes in again. The first release makes the stack
    unless it exists; going back from it deletes the stack that it made.

    Example:
        Save an environment, and load it again:
        ```python
        from prefect_delivery.blocks.cloudformation_stack import (
            CloudFormationStackEnvironment,
        )

        made = CloudFormationStackEnvironment(stack="shop", region="eu-west-1")
        made.save("shop-stack", overwrite=True)
        environment = CloudFormationStackEnvironment.load("shop-stack")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Delivery CloudFormation Stack Environment"
    _block_type_slug: ClassVar[str | None] = "delivery-cloudformation-stack-environment"
    _description: ClassVar[str | None] = "Run releases as a stack of CloudFormation."

    stack: str = Field(description="Name of the stack.")
    template_path: str = Field(
        default="template.yaml", description="File of the artifact with the template."
    )
    configuration_path: str | None = Field(
        default=None,
        description="JSON file of the artifact with Parameters, Tags and StackPolicy.",
    )
    parameters: dict[str, str] = Field(
        default={}, description="Parameters, before those of the configuration file."
    )
    capabilities: list[str] = Field(
        default=[], description="What the template may do, such as CAPABILITY_IAM."
    )
    stack_role_arn: str | None = Field(
        default=None, description="Role that CloudFormation takes on for the stack."
    )
    replace_failed: bool = Field(
        default=False,
        description="Delete a stack that failed and cannot be updated, and make it anew.",
    )
    bucket: str | None = Field(
        default=None,
        description="S3 bucket for templates over 51,200 bytes; by default that of"
        " PREFECT_DELIVERY_AWS_BUCKET.",
    )

    def permissions(self) -> list[Permission]:
        """The stack and its change sets; what is in the stack goes by the stack's role.

        Without a role for the stack, the identity also needs what the template makes.
        """
        bucket = self.bucket or settings().aws_bucket
        stack = Permission(
            actions=(
                "cloudformation:CancelUpdateStack",
                "cloudformation:ContinueUpdateRollback",
                "cloudformation:CreateChangeSet",
                "cloudformation:DeleteChangeSet",
                "cloudformation:DeleteStack",
                "cloudformation:DescribeChangeSet",
                "cloudformation:DescribeStackEvents",
                "cloudformation:DescribeStacks",
                "cloudformation:ExecuteChangeSet",
                "cloudformation:GetTemplate",
                "cloudformation:ListChangeSets",
                "cloudformation:SetStackPolicy",
            ),
            resources=(self._arn("cloudformation", f"stack/{self.stack}/*"),),
        )
        role = Permission(
            actions=("iam:PassRole",), resources=(self.stack_role_arn or "*",)
        )
        templates = Permission(
            actions=("s3:GetObject", "s3:PutObject"),
            resources=(f"arn:aws:s3:::{bucket}/*",),
        )
        return [
            stack,
            *([role] if self.stack_role_arn else []),
            *([templates] if bucket else []),
        ]

    @property
    def target(self) -> str:
        """Name of the target in its account and region."""
        return self.stack

    def observe(self) -> str | None:
        """Digest that the stack was marked with after it was changed last."""
        with self._aws() as aws:
            stack = self.on(aws)
            mark = stack.mark(stack.described())
            return mark.release if mark else None

    def prepare(self, release: Release, fence: int) -> None:
        """Have CloudFormation plan the changes, as a change set.

        Raises:
            ActionFailed: A file is missing, CloudFormation refuses the template, or the
                stack has failed and cannot be updated.
            LeaseLost: The stack has seen a higher fencing token.
        """
        with self._aws() as aws:
            stack = self.on(aws, release)
            status = self._fenced(stack, fence)["StackStatus"]
            if status not in {*STEADY, *NEW}:
                # What we failed to make was taken back by AWS and holds nothing.
                empty = status == "ROLLBACK_COMPLETE" and Operation.of(stack.events())
                if not empty and not self.replace_failed:
                    raise ActionFailed(
                        f"stack {self.stack} is {status} and cannot be updated",
                        hint="delete it, or deploy with REPLACE_ON_FAILURE",
                    )
                stack.delete()
            self._plan(stack, release, fence)

    def shift(self, release: Release, percent: float, fence: int) -> None:
        """Execute the changes, and wait for the end.

        Raises:
            ActionFailed: CloudFormation cannot make them; names the resource.
            LeaseLost: The stack has seen a higher fencing token.
        """
        with self._aws() as aws:
            stack = self.on(aws, release)
            described = self._fenced(stack, fence)
            mark = stack.mark(described)
            if mark and mark.release == release.digest:
                return
            if plan := self._plan(stack, release, fence):
                if described["StackStatus"] in NEW:
                    before = "created"
                else:
                    before = "release" if mark else stack.kept(described)
                stack.execute(plan, Operation.new(release.digest, before))
            stack.set_policy(self._wanted(release).configuration)
            stack.set_mark(release.digest, fence)

    def commit(self, release: Release, fence: int) -> None:
        """Make sure that the stack is what the release says; remove our plans.

        Raises:
            LeaseLost: The stack has seen a higher fencing token.
        """
        self.shift(release, 100, fence)
        with self._aws() as aws:
            self.on(aws).tidy()

    def discard(self, release: Release, fence: int) -> None:
        """Bring back what the stack was before the release, if it still is that.

        Raises:
            ActionFailed: CloudFormation cannot do so.
            LeaseLost: The stack has seen a higher fencing token.
        """
        with self._aws() as aws:
            stack = self.on(aws)
            described = self._fenced(stack, fence)
            mark = stack.mark(described)
            if described["StackStatus"] in NEW:
                if CHANGE_SET not in release.variables:
                    stack.delete()
            elif mark is None or mark.release == release.digest:
                last = Operation.of(stack.events())
                if last and last.release == release.digest[:32]:
                    self._take_back(stack, last.before, fence)
            stack.tidy()

    def outputs(self) -> dict[str, str]:
        """Outputs of the stack; none when there is no stack."""
        with self._aws() as aws:
            described = self.on(aws).described()
        return {
            each["OutputKey"]: each["OutputValue"]
            for each in described.get("Outputs", [])
        }

    def on(self, aws: AwsSession, release: Release | None = None) -> Stack:
        """The stack, as somebody reaches it.

        Args:
            release: For which we wait, and no longer when that is stopped.
        """
        own = release.variables.get(ALLOWED) if release else None
        return Stack(
            aws=aws,
            name=self.stack,
            role=self.stack_role_arn,
            capabilities=own.split(",") if own else self.capabilities,
            bucket=self.bucket,
            until=lambda probe, what: self._until(probe, what, release),
            once=self._once,
        )

    def _fenced(self, stack: Stack, fence: int) -> Data:
        """The stack at rest, which has not seen a newer lease than ours.

        A process that is frozen behind this look can execute its plan only as long as
        nobody has executed another: AWS removes it then.
        """
        described = stack.settled()
        for each in stack.change_sets():
            check_fence(each.fence, fence, self.target)
        return described

    def _plan(self, stack: Stack, release: Release, fence: int) -> str | None:
        """Change set by which the stack becomes the release; None when it is that."""
        known = release.variables.get(CHANGE_SET)
        if known and stack.change_set(known).get("ExecutionStatus") == "AVAILABLE":
            return known
        wanted = ChangeSet(kind="plan", fence=fence, release=release.digest)
        for each in stack.change_sets():
            if each.is_like(wanted) and each.executable:
                return each.name
        name = wanted.new_name()
        return name if stack.plan(name, self._wanted(release)) else None

    def _wanted(self, release: Release) -> Wanted:
        content = release.artifact
        with TemporaryDirectory() as name:
            folder = Path(name) / "release"
            Artifact(digest=content.digest, size=content.size).unpack(folder)
            return Wanted.of(
                folder, self.template_path, self.configuration_path, self.parameters
            )

    def _take_back(self, stack: Stack, before: str, fence: int) -> None:
        if before == "created":
            stack.delete()
        elif before != "release":
            plan = ChangeSet(kind="plan", fence=fence, release=_NONE)
            stack.restore(before, plan.new_name())
