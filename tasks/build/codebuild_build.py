"""A build of CodeBuild, or a batch of them: started once, watched, stopped, read."""

from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.blocks.aws_session import (
    AwsSession,
    code_of,
    patient,
    start_or_attach,
    stop_with,
    token_of,
)
from prefect_delivery.tasks.build.codebuild_logs import LogStream
from prefect_delivery.tasks.build.codebuild_order import MARK, Order, identifier
from prefect_delivery.tasks.build.codebuild_reports import reports_of, summary_of
from prefect_delivery.tasks.bundles import BUNDLED, Bundles

PERMISSIONS: Final = (
    *BUNDLED,
    "codebuild:BatchGetBuildBatches",
    "codebuild:BatchGetBuilds",
    "codebuild:BatchGetProjects",
    "codebuild:BatchGetReports",
    "codebuild:DescribeTestCases",
    "codebuild:ListBuildBatchesForProject",
    "codebuild:ListBuildsForProject",
    "codebuild:StartBuild",
    "codebuild:StartBuildBatch",
    "codebuild:StopBuild",
    "codebuild:StopBuildBatch",
    "logs:GetLogEvents",
)
"""What IAM must allow for builds and batches."""
INTERVAL: Final = 5.0
"""Seconds between two looks at a build."""
RECENT: Final = 100
"""Builds that are asked for at once; those of a project among which ours is looked for."""

Build = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """How CodeBuild's API speaks of single builds, or of batches."""

    start: str
    stop: str
    get: str
    listing: str
    answer: str
    started: str
    status: str
    done: str


SINGLE = Kind(
    start="start_build",
    stop="stop_build",
    get="batch_get_builds",
    listing="list_builds_for_project",
    answer="builds",
    started="build",
    status="buildStatus",
    done="buildComplete",
)
BATCH = Kind(
    start="start_build_batch",
    stop="stop_build_batch",
    get="batch_get_build_batches",
    listing="list_build_batches_for_project",
    answer="buildBatches",
    started="buildBatch",
    status="buildBatchStatus",
    done="complete",
)


def run(order: Order, aws: AwsSession, bucket: str | None, job: Job) -> Outputs:
    """Carry out an order: start the build or find it again, and wait for its end.

    Raises:
        ActionFailed: The build ended in any state but SUCCEEDED; names the phase.
    """
    order.check()
    needed = bool(order.artifacts or order.outputs)
    bundles = Bundles.of(aws, bucket, job) if needed else None
    return _Run(order, aws, bundles, job).outputs()


@dataclass
class _Run:
    order: Order
    aws: AwsSession
    bundles: Bundles | None
    job: Job
    logs: dict[str, LogStream] = field(default_factory=dict[str, LogStream])

    def __post_init__(self) -> None:
        self.client = self.aws.client("codebuild")
        self.kind = BATCH if self.order.batch else SINGLE
        self.token = token_of(self.job, "codebuild")

    def outputs(self) -> Outputs:
        build_id = start_or_attach(self.job, self._start)
        self.job.log(f"build {build_id}")
        stop = getattr(self.client, self.kind.stop)
        stop_with(self.job, lambda: stop(id=build_id), f"build {build_id}")
        probe = patient(self.job, lambda: self._ended(build_id))
        build = self.job.poll(probe, timeout=self.order.timeout, interval=INTERVAL)
        builds = self._builds(build)
        arns = [arn for each in builds for arn in each.get("reportArns", [])]
        reports = reports_of(self.client, arns)
        summary, link = summary_of(reports), build.get("logs", {}).get("deepLink")
        if build[self.kind.status] != "SUCCEEDED":
            stopped = self.job.cancelled.is_set()
            raise ActionFailed(
                self.job.reason
                if stopped
                else _failure(build, build[self.kind.status]),
                outputs=Outputs(reports=reports, summary=summary, link=link),
                link=link,
            )
        return Outputs(
            artifacts=self._artifacts(build),
            variables=_exported(builds),
            reports=reports,
            summary=summary,
            link=link,
        )

    def _start(self) -> str:
        # CodeBuild forgets tokens after five minutes.
        if self.job.key and (found := self._found()):
            self.job.log(f"build {found} was started before; going on with it")
            return found
        request = self.order.request(self.bundles, self.token)
        if self.order.combine:
            request["buildBatchConfigOverride"] = self._combining()
        started = getattr(self.client, self.kind.start)(**request)
        return str(started[self.kind.started]["id"])

    def _found(self) -> str | None:
        """The id of a build that this attempt has started before, if any."""
        listing = getattr(self.client, self.kind.listing)
        try:
            ids = listing(projectName=self.order.project, sortOrder="DESCENDING")["ids"]
        except ClientError as error:
            # StartBuild says that a project is missing; where listing is not allowed,
            # the token alone serves.
            if code_of(error) in {"AccessDeniedException", "ResourceNotFoundException"}:
                return None
            raise
        for build in self._get(ids[:RECENT]):
            variables = build.get("environment", {}).get("environmentVariables", [])
            if any(
                each["name"] == MARK and each["value"] == self.token
                for each in variables
            ):
                return str(build["id"])
        return None

    def _combining(self) -> dict[str, Any]:
        projects = self.client.batch_get_projects(names=[self.order.project])[
            "projects"
        ]
        own: dict[str, Any] = (
            projects[0].get("buildBatchConfig", {}) if projects else {}
        )
        return {**own, "combineArtifacts": True}

    def _ended(self, build_id: str) -> Build | None:
        found = self._get([build_id])
        if not found:
            raise ActionFailed(f"CodeBuild has no build {build_id}")
        for each in self._builds(found[0]):
            self._follow(each)
        return found[0] if found[0].get(self.kind.done) else None

    def _get(self, ids: list[str]) -> list[Build]:
        if not ids:
            return []
        found: list[Build] = getattr(self.client, self.kind.get)(ids=ids)[
            self.kind.answer
        ]
        return found

    def _builds(self, build: Build) -> list[Build]:
        """The builds of a batch, or the build itself."""
        if not self.order.batch:
            return [build]
        arns = [
            group["currentBuildSummary"]["arn"]
            for group in build.get("buildGroups", [])
            if "currentBuildSummary" in group
        ]
        ids = [arn.partition(":build/")[2] or arn for arn in arns]
        pages = [ids[first : first + RECENT] for first in range(0, len(ids), RECENT)]
        return [
            each
            for page in pages
            for each in self.client.batch_get_builds(ids=page)["builds"]
        ]

    def _follow(self, build: Build) -> None:
        place = build.get("logs", {})
        if place.get("groupName") and place.get("streamName"):
            stream = self.logs.setdefault(
                build["id"],
                LogStream(self.aws, place["groupName"], place["streamName"]),
            )
            stream.tell(self.job)

    def _artifacts(self, build: Build) -> dict[str, Artifact]:
        wanted = self.order.outputs
        if not wanted or self.bundles is None:
            return {}
        places = _places(build)
        if len(wanted) == 1 and build.get("artifacts", {}).get("location"):
            places = {
                identifier(name): build["artifacts"]["location"] for name in wanted
            }
        missing = [name for name in wanted if identifier(name) not in places]
        if missing:
            raise ActionFailed(
                f"the build has no artifact '{missing[0]}'",
                hint=f"it has: {', '.join(places) or 'none'}",
            )
        return {
            name: self.bundles.get(_key(places[identifier(name)]), patterns)
            for name, patterns in wanted.items()
        }


def _places(build: Build) -> dict[str, str]:
    """Where secondary artifacts are, by identifier, and those of a batch's builds."""
    found = {
        each["artifactIdentifier"]: each["location"]
        for each in build.get("secondaryArtifacts", [])
    }
    for group in build.get("buildGroups", []):
        primary = group.get("currentBuildSummary", {}).get("primaryArtifact", {})
        if primary.get("location"):
            found[identifier(group["identifier"])] = primary["location"]
    return found


def _key(location: str) -> str:
    """The key in an `arn:aws:s3:::bucket/key`."""
    return location.partition(":::")[2].partition("/")[2]


def _exported(builds: list[Build]) -> dict[str, str]:
    return {
        each["name"]: each["value"]
        for build in builds
        for each in build.get("exportedEnvironmentVariables", [])
    }


def _failure(build: Build, status: str) -> str:
    """What went wrong: the phase and what CodeBuild says of it."""
    for phase in build.get("phases", []):
        if phase.get("phaseStatus", "SUCCEEDED") not in {"SUCCEEDED", "IN_PROGRESS"}:
            said = [
                context["message"]
                for context in phase.get("contexts", [])
                if context.get("message")
            ]
            why = f": {said[0]}" if said else ""
            return f"build is {status} in phase {phase['phaseType']}{why}"
    return f"build is {status}"
