"""Releases as versions behind an alias of a function in AWS Lambda."""

import io
import re
import zipfile
from base64 import b64encode
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed
from pydantic import Field

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.aws_environment import AwsEnvironment, check_fence
from prefect_delivery.blocks.aws_session import code_of
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Release
from prefect_delivery.permissions import Permission

VERSION = "lambda_version"
"""Variable of a release that is a version which was published before."""
_FORM = re.compile(r"prefect-delivery release=(\S*) before=(\S*) fence=(\d+)(?:\s|$)")
_TRIES = 10
"""How often an alias is read again that somebody else changes meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Alias:
    """What an alias leads to, and what its description notes.

    Attributes:
        version: Gets all traffic that `weights` does not give away.
        weights: Shares of other versions, 0 to 1.
        release: Digest of the release of `version`; empty where it is not one of ours.
        before: The version that served before that release.
        fence: The newest lease that has changed the alias.
    """

    version: str
    weights: dict[str, float]
    release: str = ""
    before: str = ""
    fence: int = 0

    @classmethod
    def of(cls, answer: dict[str, Any]) -> "Alias":
        """An alias as Lambda describes it."""
        noted = _FORM.search(answer.get("Description", ""))
        release, before, fence = noted.groups() if noted else ("", "", 0)
        routing = answer.get("RoutingConfig") or {}
        return cls(
            version=answer["FunctionVersion"],
            weights=routing.get("AdditionalVersionWeights") or {},
            release=release,
            before=before,
            fence=int(fence),
        )

    def asked(self) -> dict[str, Any]:
        """The parameters that make an alias like this."""
        return {
            "FunctionVersion": self.version,
            "RoutingConfig": {"AdditionalVersionWeights": self.weights},
            "Description": f"prefect-delivery release={self.release}"
            f" before={self.before} fence={self.fence}",
        }


class LambdaAliasEnvironment(AwsEnvironment):
    """Run releases as versions of a function, behind an alias.

    The alias says which release it serves, in its description, and gives a new version
    as much of the traffic as the strategy says. When an alarm rises, the version that
    served before gets it all again. Versions stay; Lambda keeps them.

    Example:
        Save an environment, and load it again:
        ```python
        from prefect_delivery.blocks.lambda_alias import LambdaAliasEnvironment

        made = LambdaAliasEnvironment(
            function="shop", alias="live", alarms=["shop-errors"], region="eu-west-1"
        )
        made.save("shop-lambda", overwrite=True)
        environment = LambdaAliasEnvironment.load("shop-lambda")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Delivery Lambda Alias Environment"
    _block_type_slug: ClassVar[str | None] = "delivery-lambda-alias-environment"
    _description: ClassVar[str | None] = "Run releases behind an alias of a function."

    function: str = Field(description="Name or ARN of the function, which exists.")
    alias: str = Field(description="Name of the alias, which exists.")
    alarms: list[str] = Field(
        default=[],
        max_length=10,
        description="CloudWatch alarms, none of which may be in state ALARM.",
    )

    def permissions(self) -> list[Permission]:
        """The function with its versions and alias, and the alarms."""
        function = self._arn("lambda", f"function:{self.function}")
        alarms = Permission(actions=("cloudwatch:DescribeAlarms",))
        return [
            Permission(
                actions=(
                    "lambda:GetAlias",
                    "lambda:GetFunctionConfiguration",
                    "lambda:ListVersionsByFunction",
                    "lambda:PublishVersion",
                    "lambda:UpdateAlias",
                    "lambda:UpdateFunctionCode",
                ),
                resources=(function, f"{function}:*"),
            ),
            *([alarms] if self.alarms else []),
        ]

    @property
    def target(self) -> str:
        """Name of the target in its account and region."""
        return f"{self.function.rpartition(':')[2]}:{self.alias}"

    @property
    def has_traffic(self) -> bool:
        """Whether `shift` can give a release a part of the traffic."""
        return True

    @property
    def version(self) -> str:
        """The version that the alias leads to."""
        with self._aws() as aws:
            return self._alias(aws.client("lambda"))[0].version

    def observe(self) -> str | None:
        """Digest in the alias's description, unless another version has a share."""
        with self._aws() as aws:
            alias, _ = self._alias(aws.client("lambda"))
            return None if alias.weights else alias.release or None

    def prepare(self, release: Release, fence: int) -> None:
        """Publish the release's code as a version, unless there is one.

        Raises:
            ActionFailed: Lambda refuses the code, or the version does not get ready.
            LeaseLost: The alias has seen a higher fencing token.
        """
        with self._aws() as aws:
            client = aws.client("lambda")
            self._set(client, fence)
            if release.variables.get(VERSION) or self._published(client, release):
                self._version(client, release)
                return
            code = self._upload(client, release)
            # What has not changed since is not published again: we get that version.
            version = client.publish_version(
                FunctionName=self.function,
                CodeSha256=code,
                Description=_mark(release),
            )["Version"]
            self._until(
                lambda: self._ready(client, version), f"version {version}", release
            )

    def shift(self, release: Release, percent: float, fence: int) -> None:
        """Give the release's version this share of the traffic.

        Raises:
            ActionFailed: There is no version of the release.
            LeaseLost: The alias has seen a higher fencing token.
        """
        with self._aws() as aws:
            client = aws.client("lambda")
            version = self._version(client, release)
            self._set(client, fence, version, release.digest, percent)

    def verify(self, release: Release, percent: float) -> None:
        """Make sure that no alarm has risen, then run the checks.

        Raises:
            ActionFailed: An alarm has risen, is not there, or a check failed.
        """
        if self.alarms:
            with self._aws() as aws:
                found = aws.client("cloudwatch").describe_alarms(
                    AlarmNames=self.alarms, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
                )
            states = {
                each["AlarmName"]: each["StateValue"]
                for each in (*found["MetricAlarms"], *found["CompositeAlarms"])
            }
            for name in self.alarms:
                if states.get(name) in {None, "ALARM"}:
                    what = "has risen" if name in states else "does not exist"
                    raise ActionFailed(f"alarm '{name}' {what}")
        super().verify(release, percent)

    def commit(self, release: Release, fence: int) -> None:
        """Give the release's version all traffic.

        Raises:
            LeaseLost: The alias has seen a higher fencing token.
        """
        self.shift(release, 100, fence)

    def discard(self, release: Release, fence: int) -> None:
        """Take all traffic from the release's version; the version stays.

        Raises:
            LeaseLost: The alias has seen a higher fencing token.
        """
        with self._aws() as aws:
            client = aws.client("lambda")
            alias, _ = self._alias(client)
            if alias.release == release.digest and alias.before:
                self._set(client, fence, alias.before, "", 100)
            else:
                self._set(client, fence, alias.version, alias.release, 100)

    def _upload(self, client: Any, release: Release) -> str:
        """Make the release's code the function's unpublished one; the code's digest."""
        archive = _zipped(release)
        latest = client.get_function_configuration(FunctionName=self.function)
        if latest["CodeSha256"] != code_digest(archive):
            client.update_function_code(FunctionName=self.function, ZipFile=archive)
        ready = self._until(
            lambda: self._ready(client, "$LATEST"), "the update of the code", release
        )
        return str(ready["CodeSha256"])

    def _set(
        self,
        client: Any,
        fence: int,
        version: str | None = None,
        release: str = "",
        percent: float = 100,
    ) -> None:
        """Change the alias in one step, unless a newer lease has changed it.

        Raises:
            LeaseLost: One has.
        """
        for _ in range(_TRIES):
            alias, revision = self._alias(client)
            check_fence(alias.fence, fence, self.target)
            wanted = replace(
                alias if version is None else _led(alias, version, release, percent),
                fence=fence,
            )
            if wanted == alias:
                return
            try:
                client.update_alias(
                    FunctionName=self.function,
                    Name=self.alias,
                    RevisionId=revision,
                    **wanted.asked(),
                )
            except ClientError as error:
                # Somebody else was faster, or it was us and the answer got lost.
                if code_of(error) != "PreconditionFailedException":
                    raise
        raise ActionFailed(f"somebody else keeps changing alias {self.target}")

    def _alias(self, client: Any) -> tuple[Alias, str]:
        answer = client.get_alias(FunctionName=self.function, Name=self.alias)
        return Alias.of(answer), answer["RevisionId"]

    def _version(self, client: Any, release: Release) -> str:
        """The version of a release.

        Raises:
            ActionFailed: There is none.
        """
        if known := release.variables.get(VERSION):
            self._ready(client, known)
            return known
        if found := self._published(client, release):
            return found
        # Published for an earlier release, of which this one is no change.
        code = code_digest(_zipped(release))
        if found := self._published(client, release, code):
            return found
        raise ActionFailed(f"{self.target} has no version of the release")

    def _published(
        self, client: Any, release: Release, code: str | None = None
    ) -> str | None:
        """The newest version that bears the release's mark, or has this code."""
        pages = client.get_paginator("list_versions_by_function").paginate(
            FunctionName=self.function
        )
        versions = [
            each
            for page in pages
            for each in page["Versions"]
            if each["Version"] != "$LATEST"
        ]
        newest = sorted(versions, key=lambda each: -int(each["Version"]))
        for each in newest:
            marked = each.get("Description") == _mark(release)
            if marked if code is None else each["CodeSha256"] == code:
                return str(each["Version"])
        return None

    def _ready(self, client: Any, version: str) -> dict[str, Any] | None:
        return ready(client, self.function, version)


def ready(client: Any, function: str, version: str) -> dict[str, Any] | None:
    """What Lambda says of a version that can be invoked; None while it cannot yet.

    Raises:
        ActionFailed: It never can be.
    """
    found: dict[str, Any] = client.get_function_configuration(
        FunctionName=function, Qualifier=version
    )
    states = {found.get("State", "Active"), found.get("LastUpdateStatus", "Active")}
    if "Failed" in states:
        reason = found.get("LastUpdateStatusReason") or found.get("StateReason")
        raise ActionFailed(f"Lambda cannot use the code: {reason or 'no reason given'}")
    return None if states & {"Pending", "InProgress"} else found


def _led(alias: Alias, version: str, release: str, percent: float) -> Alias:
    """The alias with a share of its traffic given to a version."""
    if percent < 100 and alias.version != version:
        return replace(alias, weights={version: round(percent / 100, 4)})
    changed = alias.release != release
    before = alias.version if changed and release else alias.before
    return replace(
        alias,
        version=version,
        weights={},
        release=release,
        before=before if release else "",
    )


def _mark(release: Release) -> str:
    return f"prefect-delivery {release.digest}"


def code_digest(archive: bytes) -> str:
    """What Lambda calls `CodeSha256`."""
    return b64encode(sha256(archive).digest()).decode()


def _zipped(release: Release) -> bytes:
    content = release.artifact
    return zipped(Artifact(digest=content.digest, size=content.size))


def zipped(artifact: Artifact) -> bytes:
    """Code as a zip archive, the same bytes each time."""
    archive = io.BytesIO()
    with TemporaryDirectory() as name, zipfile.ZipFile(archive, "w") as bundle:
        folder = Path(name) / "release"
        artifact.unpack(folder)
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(file.relative_to(folder)))
            entry.external_attr = (file.stat().st_mode & 0o777 | 0o100000) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, file.read_bytes())
    return archive.getvalue()
