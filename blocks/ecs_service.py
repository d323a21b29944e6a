"""Releases as task definitions of a service in Amazon ECS."""

import itertools
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from pydantic import Field

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.aws_environment import (
    BEFORE,
    FENCE,
    ONE_ATTEMPT,
    RELEASE,
    AwsEnvironment,
    check_fence,
)
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Release
from prefect_delivery.permissions import Permission

GIVEN_BY_ECS = {
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
}
"""What ECS adds to a task definition and takes from nobody."""
_STALE_LOOKS = 10
"""After so many looks, a deployment that is not there is gone, not yet to come."""
_LOOK_BACK = 100
"""Revisions of a family among which a release's own is looked for."""


class EcsServiceEnvironment(AwsEnvironment):
    """Run releases as a service of Amazon ECS.

    A release is a file that names the image of each container. It becomes a revision of
    the service's task definition, which carries the release's digest as a tag, and ECS
    replaces the tasks. When that fails, the task definition that served before serves
    again, with or without ECS's own circuit breaker.

    Example:
        Save an environment, and load it again:
        ```python
        from prefect_delivery.blocks.ecs_service import EcsServiceEnvironment

        made = EcsServiceEnvironment(cluster="shop", service="web", region="eu-west-1")
        made.save("shop-ecs", overwrite=True)
        environment = EcsServiceEnvironment.load("shop-ecs")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Delivery ECS Service Environment"
    _block_type_slug: ClassVar[str | None] = "delivery-ecs-service-environment"
    _description: ClassVar[str | None] = "Run releases as a service of Amazon ECS."

    cluster: str = Field(description="Name or ARN of the cluster.")
    service: str = Field(description="Name of the service, which exists.")
    file_name: str = Field(
        default="imagedefinitions.json",
        description="File of the artifact with name and imageUri of each container.",
    )

    def permissions(self) -> list[Permission]:
        """The service, revisions of its task definition, and handing on the tasks' roles.

        Task definitions cannot be limited by name when they are described or listed.
        """
        cluster = self.cluster.rpartition("/")[2]
        service = self._arn("ecs", f"service/{cluster}/{self.service}")
        return [
            Permission(
                actions=(
                    "ecs:DescribeServices",
                    "ecs:UpdateService",
                    "ecs:TagResource",
                ),
                resources=(service,),
            ),
            Permission(
                actions=(
                    "ecs:DeregisterTaskDefinition",
                    "ecs:DescribeTaskDefinition",
                    "ecs:ListTaskDefinitions",
                    "ecs:RegisterTaskDefinition",
                )
            ),
            Permission(
                actions=("ecs:TagResource",),
                resources=(self._arn("ecs", "task-definition/*"),),
            ),
            Permission(
                actions=("iam:PassRole",),
                condition={
                    "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
                },
            ),
        ]

    @property
    def target(self) -> str:
        """Name of the target in its account and region."""
        return f"{self.cluster.rpartition('/')[2]}/{self.service}"

    def observe(self) -> str | None:
        """Digest in the tags of the task definition that all running tasks have."""
        with self._aws() as aws:
            ecs = aws.client("ecs")
            service = self._service(ecs)
            primary = _primary(service)
            if not _is_steady(service, primary):
                return None
            return self._definition(ecs, primary["taskDefinition"])[1].get(RELEASE)

    def prepare(self, release: Release, fence: int) -> None:
        """Register the release's task definition, unless it is there.

        Raises:
            ActionFailed: The file or a container is missing, or ECS refuses it.
            LeaseLost: The service has seen a higher fencing token.
        """
        with self._aws() as aws:
            ecs = aws.client("ecs")
            service = self._fenced(ecs, fence)
            current, tags = self._definition(ecs, service["taskDefinition"])
            marked = {
                **tags,
                RELEASE: release.digest,
                BEFORE: current["taskDefinitionArn"],
            }
            definition = {k: v for k, v in current.items() if k not in GIVEN_BY_ECS}
            definition["containerDefinitions"] = _with_images(
                current["containerDefinitions"], self._images(release)
            )
            family = current["family"]
            once = aws.client("ecs", ONE_ATTEMPT)
            self._once(
                lambda: self._revision_of(ecs, family, release) is not None,
                lambda: once.register_task_definition(
                    **definition, tags=_as_tags(marked)
                ),
            )

    def shift(self, release: Release, percent: float, fence: int) -> None:
        """Replace the service's tasks by those of the release, and wait for the end.

        Raises:
            ActionFailed: The tasks do not start, or not in time.
            LeaseLost: The service has seen a higher fencing token.
        """
        with self._aws() as aws:
            ecs = aws.client("ecs")
            service = self._fenced(ecs, fence)
            family = self._definition(ecs, service["taskDefinition"])[0]["family"]
            arn = self._revision_of(ecs, family, release)
            if arn is None:
                raise ActionFailed(
                    f"{self.target} has no task definition of the release"
                )
            self._replace(ecs, service, arn, release)

    def commit(self, release: Release, fence: int) -> None:
        """Make sure that the service runs the release, and nothing else.

        Raises:
            ActionFailed: Other tasks do not end.
            LeaseLost: The service has seen a higher fencing token.
        """
        self.shift(release, 100, fence)

    def discard(self, release: Release, fence: int) -> None:
        """Have the service run what ran before the release; retire its definition.

        Raises:
            ActionFailed: The tasks of before do not start.
            LeaseLost: The service has seen a higher fencing token.
        """
        with self._aws() as aws:
            ecs = aws.client("ecs")
            service = self._fenced(ecs, fence)
            family = self._definition(ecs, service["taskDefinition"])[0]["family"]
            while arn := self._revision_of(ecs, family, release):
                before = self._definition(ecs, arn)[1][BEFORE]
                # The circuit breaker may have been there before us, and not be done.
                if service["taskDefinition"] in {arn, before}:
                    self._replace(ecs, service, before, None)
                ecs.deregister_task_definition(taskDefinition=arn)

    def _replace(
        self, ecs: Any, service: dict[str, Any], arn: str, release: Release | None
    ) -> None:
        if service["taskDefinition"] != arn:
            ecs.update_service(
                cluster=self.cluster, service=self.service, taskDefinition=arn
            )
        looks = itertools.count(1)
        self._until(
            lambda: self._progress(ecs, arn, next(looks)),
            f"the rollout of {self.target}",
            release,
        )

    def _progress(self, ecs: Any, arn: str, look: int) -> bool | None:
        """True once all tasks are replaced."""
        service = self._service(ecs)
        primary = _primary(service)
        if primary["taskDefinition"] != arn:
            failed = [d for d in service["deployments"] if d["taskDefinition"] == arn]
            if not failed and look < _STALE_LOOKS:
                return None
            reason = failed[0].get("rolloutStateReason") if failed else None
            raise ActionFailed(
                f"{self.target} went back by itself: {reason or 'tasks do not start'}",
                hint=_last_event(service),
            )
        if primary.get("rolloutState") == "FAILED":
            raise ActionFailed(
                f"tasks of {self.target} do not start"
                f" ({primary.get('failedTasks', 0)} have failed)",
                hint=_last_event(service),
            )
        return True if _is_steady(service, primary) else None

    def _fenced(self, ecs: Any, fence: int) -> dict[str, Any]:
        """The service, once it knows our lease and no newer one.

        ECS has no conditional update: a process that is frozen right behind this look
        can still make one change. Whoever took over sees it at its next step.
        """
        service = self._service(ecs)
        seen = _tags(service).get(FENCE)
        check_fence(seen, fence, self.target)
        if seen != str(fence):
            arn = service["serviceArn"]
            ecs.tag_resource(resourceArn=arn, tags=_as_tags({FENCE: str(fence)}))
        return service

    def _service(self, ecs: Any) -> dict[str, Any]:
        found: list[dict[str, Any]] = ecs.describe_services(
            cluster=self.cluster, services=[self.service], include=["TAGS"]
        )["services"]
        if not found or found[0]["status"] != "ACTIVE":
            raise ActionFailed(
                f"there is no active ECS service {self.target}",
                hint="create it first, with a task definition that starts",
            )
        return found[0]

    def _definition(self, ecs: Any, arn: str) -> tuple[dict[str, Any], dict[str, str]]:
        answer = ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
        return answer["taskDefinition"], _tags(answer)

    def _revision_of(self, ecs: Any, family: str, release: Release) -> str | None:
        """ARN of the release's task definition, newest first."""
        arns = ecs.list_task_definitions(
            familyPrefix=family, status="ACTIVE", sort="DESC", maxResults=_LOOK_BACK
        )["taskDefinitionArns"]
        for arn in arns:
            definition, tags = self._definition(ecs, arn)
            if definition["family"] == family and tags.get(RELEASE) == release.digest:
                return str(arn)
        return None

    def _images(self, release: Release) -> dict[str, str]:
        content = release.artifact
        with TemporaryDirectory() as name:
            folder = Path(name) / "release"
            Artifact(digest=content.digest, size=content.size).unpack(folder)
            return read_images(folder, self.file_name)


def read_images(folder: Path, name: str) -> dict[str, str]:
    """Images by container, as a file of image definitions has them.

    Raises:
        ActionFailed: It is missing or says something else.
    """
    wrong = f"'{name}' must be a JSON list of objects with 'name' and 'imageUri'"
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise ActionFailed(f"the artifact has no file '{name}'")
    try:
        found = {
            each["name"]: each["imageUri"] for each in json.loads(file.read_bytes())
        }
    except (ValueError, TypeError, KeyError) as error:
        raise ActionFailed(wrong) from error
    if not found or not all(isinstance(v, str) and v for v in found.values()):
        raise ActionFailed(wrong)
    return found


def _with_images(
    containers: list[dict[str, Any]], images: dict[str, str]
) -> list[dict[str, Any]]:
    known = {container["name"] for container in containers}
    if unknown := sorted(images.keys() - known):
        raise ActionFailed(
            f"the task definition has no container {', '.join(unknown)}",
            hint=f"it has {', '.join(sorted(known))}",
        )
    return [
        {**container, "image": images.get(container["name"], container["image"])}
        for container in containers
    ]


def _primary(service: dict[str, Any]) -> dict[str, Any]:
    return next(
        (each for each in service["deployments"] if each["status"] == "PRIMARY"),
        {"taskDefinition": service["taskDefinition"]},
    )


def _is_steady(service: dict[str, Any], primary: dict[str, Any]) -> bool:
    others = [each for each in service["deployments"] if each is not primary]
    return (
        primary.get("rolloutState", "COMPLETED") == "COMPLETED"
        and service["runningCount"] == service["desiredCount"]
        and not any(each.get("runningCount", 0) for each in others)
    )


def _last_event(service: dict[str, Any]) -> str | None:
    events = service.get("events", [])
    return str(events[0]["message"]) if events else None


def _tags(answer: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in answer.get("tags", [])}


def _as_tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
