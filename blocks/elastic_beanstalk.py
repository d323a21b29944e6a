"""Releases as application versions of an environment in AWS Elastic Beanstalk."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed
from pydantic import Field

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.archives import pack
from prefect_delivery.blocks.aws_environment import (
    FENCE,
    ONE_ATTEMPT,
    AwsEnvironment,
    check_fence,
)
from prefect_delivery.blocks.aws_session import AwsSession, said
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Release
from prefect_delivery.permissions import Permission

_LABEL: Final = "prefect-delivery-"
"""What the label of a release's version begins with; its digest follows."""
_BEFORE: Final = "prefect-delivery before="


class ElasticBeanstalkEnvironment(AwsEnvironment):
    """Run releases in an environment of AWS Elastic Beanstalk.

    A release becomes an application version, whose label says its digest, and Elastic
    Beanstalk deploys it as the environment's deployment policy says. When that fails,
    or the environment's health gets red, the version that served before serves again.

    Example:
        Save an environment, and load it again:
        ```python
        from prefect_delivery.blocks.elastic_beanstalk import (
            ElasticBeanstalkEnvironment,
        )

        made = ElasticBeanstalkEnvironment(
            application="shop", environment="shop-live", region="eu-west-1"
        )
        made.save("shop-beanstalk", overwrite=True)
        environment = ElasticBeanstalkEnvironment.load("shop-beanstalk")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Delivery Elastic Beanstalk Environment"
    _block_type_slug: ClassVar[str | None] = "delivery-elastic-beanstalk-environment"
    _description: ClassVar[str | None] = "Run releases in Elastic Beanstalk."

    application: str = Field(description="Name of the application, which exists.")
    environment: str = Field(description="Name of its environment, which exists.")
    bucket: str | None = Field(
        default=None,
        description="S3 bucket for the versions; by default Elastic Beanstalk's own.",
    )

    def permissions(self) -> list[Permission]:
        """The application with its versions and environment, and the bucket of versions.

        Elastic Beanstalk updates the instances under the caller's identity, which needs
        what they need, as the managed policy `AdministratorAccess-AWSElasticBeanstalk`
        has it.
        """
        name, environment = self.application, self.environment
        application = self._arn("elasticbeanstalk", f"application/{name}")
        version = self._arn("elasticbeanstalk", f"applicationversion/{name}/*")
        live = self._arn("elasticbeanstalk", f"environment/{name}/{environment}")
        bucket = self.bucket or "elasticbeanstalk-*"
        return [
            Permission(
                actions=(
                    "elasticbeanstalk:CreateApplicationVersion",
                    "elasticbeanstalk:DescribeApplicationVersions",
                    "elasticbeanstalk:DescribeApplications",
                    "elasticbeanstalk:DescribeEnvironments",
                    "elasticbeanstalk:DescribeEvents",
                    "elasticbeanstalk:ListTagsForResource",
                    "elasticbeanstalk:UpdateEnvironment",
                    "elasticbeanstalk:UpdateTagsForResource",
                ),
                resources=(application, version, live),
            ),
            Permission(actions=("elasticbeanstalk:CreateStorageLocation",)),
            Permission(
                actions=("s3:PutObject",), resources=(f"arn:aws:s3:::{bucket}/*",)
            ),
        ]

    @property
    def target(self) -> str:
        """Name of the target in its account and region."""
        return f"{self.application}/{self.environment}"

    @property
    def address(self) -> str | None:
        """Where people reach the environment."""
        if self.url:
            return self.url
        with self._aws() as aws:
            name = self._described(aws.client("elasticbeanstalk")).get("CNAME")
        return f"http://{name}" if name else None

    def observe(self) -> str | None:
        """Digest in the label of the version that runs, unless its health is red."""
        with self._aws() as aws:
            found = self._described(aws.client("elasticbeanstalk"))
        label = str(found.get("VersionLabel", ""))
        good = found["Status"] == "Ready" and found.get("Health") != "Red"
        is_ours = label.startswith(_LABEL)
        return label.removeprefix(_LABEL) if good and is_ours else None

    def prepare(self, release: Release, fence: int) -> None:
        """Upload the release as an application version, unless it is there.

        Raises:
            ActionFailed: Elastic Beanstalk refuses it.
            LeaseLost: The environment has seen a higher fencing token.
        """
        with self._aws() as aws:
            client = aws.client("elasticbeanstalk")
            found = self._fenced(client, fence)
            if self._version(client, _label(release)) is not None:
                return
            place = self._uploaded(aws, client, release)
            once = aws.client("elasticbeanstalk", ONE_ATTEMPT)
            self._once(
                lambda: self._version(client, _label(release)) is not None,
                lambda: once.create_application_version(
                    ApplicationName=self.application,
                    VersionLabel=_label(release),
                    Description=f"{_BEFORE}{found.get('VersionLabel', '')}",
                    SourceBundle=place,
                ),
            )

    def shift(self, release: Release, percent: float, fence: int) -> None:
        """Have the environment run the release's version, and wait for the end.

        Raises:
            ActionFailed: It was not deployed, or the health is red.
            LeaseLost: The environment has seen a higher fencing token.
        """
        with self._aws() as aws:
            client = aws.client("elasticbeanstalk")
            self._fenced(client, fence)
            self._run(client, _label(release), release)

    def commit(self, release: Release, fence: int) -> None:
        """Make sure that the environment runs the release.

        Raises:
            ActionFailed: It does not.
            LeaseLost: The environment has seen a higher fencing token.
        """
        self.shift(release, 100, fence)

    def discard(self, release: Release, fence: int) -> None:
        """Have the environment run what ran before the release, if it runs the release.

        Raises:
            ActionFailed: The version of before cannot be deployed.
            LeaseLost: The environment has seen a higher fencing token.
        """
        with self._aws() as aws:
            client = aws.client("elasticbeanstalk")
            self._fenced(client, fence)
            version = self._version(client, _label(release))
            if version is None:
                return
            before = str(version.get("Description", "")).removeprefix(_BEFORE)
            found = self._ready(client, None)
            if found.get("VersionLabel") == _label(release) and before:
                self._run(client, before, None)

    def _run(self, client: Any, label: str, release: Release | None) -> None:
        found = self._ready(client, release)
        if found.get("VersionLabel") != label:
            # Said twice, it is refused or changes nothing: the label is the same.
            try:
                client.update_environment(
                    ApplicationName=self.application,
                    EnvironmentName=self.environment,
                    VersionLabel=label,
                )
            except ClientError:
                if self._described(client)["Status"] != "Updating":
                    raise
            found = self._ready(client, release)
        if found.get("VersionLabel") != label or found.get("Health") == "Red":
            runs = found.get("VersionLabel") or "no version"
            raise ActionFailed(
                f"{self.target} runs {runs} and its health is {found.get('Health')}",
                hint=self._last_error(client),
            )

    def _ready(self, client: Any, release: Release | None) -> dict[str, Any]:
        """The environment, once nothing goes on in it."""

        def probe() -> dict[str, Any] | None:
            found = self._described(client)
            return found if found["Status"] == "Ready" else None

        return self._until(probe, f"the update of {self.target}", release)

    def _fenced(self, client: Any, fence: int) -> dict[str, Any]:
        """The environment, once its application knows our lease and no newer one.

        A tag of the environment would set off an update of it. As with ECS, a process
        that is frozen right behind this can still make one change.
        """
        found = self._described(client)
        applications = client.describe_applications(ApplicationNames=[self.application])
        arn = applications["Applications"][0]["ApplicationArn"]
        key = f"{FENCE}:{self.environment}"
        tags = client.list_tags_for_resource(ResourceArn=arn).get("ResourceTags", [])
        seen = {tag["Key"]: tag["Value"] for tag in tags}.get(key)
        check_fence(seen, fence, self.target)
        if seen != str(fence):
            client.update_tags_for_resource(
                ResourceArn=arn, TagsToAdd=[{"Key": key, "Value": str(fence)}]
            )
        return found

    def _described(self, client: Any) -> dict[str, Any]:
        found: list[dict[str, Any]] = client.describe_environments(
            ApplicationName=self.application,
            EnvironmentNames=[self.environment],
            IncludeDeleted=False,
        )["Environments"]
        if not found or found[0]["Status"] in {"Terminating", "Terminated"}:
            raise ActionFailed(
                f"there is no Elastic Beanstalk environment {self.target}",
                hint="create it first",
            )
        return found[0]

    def _version(self, client: Any, label: str) -> dict[str, Any] | None:
        found: list[dict[str, Any]] = client.describe_application_versions(
            ApplicationName=self.application, VersionLabels=[label]
        )["ApplicationVersions"]
        return found[0] if found else None

    def _uploaded(
        self, aws: AwsSession, client: Any, release: Release
    ) -> dict[str, str]:
        bucket = self.bucket or client.create_storage_location()["S3Bucket"]
        content = release.artifact
        key = f"prefect-delivery/{content.digest}.zip"
        with TemporaryDirectory() as name:
            tree, archive = Path(name) / "release", Path(name) / "bundle.zip"
            Artifact(digest=content.digest, size=content.size).unpack(tree)
            pack(tree, archive)
            aws.client("s3").upload_file(str(archive), bucket, key)
        return {"S3Bucket": bucket, "S3Key": key}

    def _last_error(self, client: Any) -> str | None:
        try:
            events = client.describe_events(
                ApplicationName=self.application,
                EnvironmentName=self.environment,
                Severity="ERROR",
                MaxRecords=1,
            )["Events"]
        except ClientError as error:
            return said(error)
        return str(events[0]["Message"]) if events else None


def _label(release: Release) -> str:
    return _LABEL + release.digest
