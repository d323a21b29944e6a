"""A build of a Jenkins job: started once, its log followed, stopped, read."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from api4jenkins import Jenkins  # type: ignore[import-untyped]  # no py.typed
from api4jenkins.build import Build  # type: ignore[import-untyped]  # no py.typed
from api4jenkins.exceptions import (  # type: ignore[import-untyped]  # no py.typed
    ItemNotFoundError,
    JenkinsAPIException,
)
from api4jenkins.queue import QueueItem  # type: ignore[import-untyped]  # no py.typed
from httpx import HTTPError, HTTPStatusError, TransportError

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Outputs,
    Patterns,
    Report,
)
from prefect_delivery.blocks.aws_session import aws_session, mark_begun, token_of
from prefect_delivery.secrets import fetch_secrets
from prefect_delivery.tasks.bundles import Bundles, unpack

INTERVAL: Final = 2.0
"""Seconds between two looks at a build."""
KEY: Final = "DELIVERY_KEY"
"""Parameter by which a build is found again."""
RECENT: Final = 100
"""Builds of the job among which ours is looked for."""
LONGEST: Final = 7 * 24 * 60
"""Minutes that an address of S3 is good for at most."""

R = TypeVar("R")
Data = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is built, where, and what is kept of it."""

    server: str
    username: str
    api_token: str
    project: str
    parameters: Mapping[str, str]
    artifacts: Mapping[str, Artifact]
    outputs: Patterns
    bucket: str | None
    credentials: str | None
    role_arn: str | None
    region: str | None
    timeout: float


def run(order: Order, job: Job) -> Outputs:
    """Carry out an order: start the build or find it again, and wait for its end.

    Raises:
        ActionFailed: The build ended with any result but SUCCESS.
    """
    token = fetch_secrets({"token": order.api_token})["token"]
    with _failing():
        jenkins = Jenkins(
            order.server, auth=(order.username, token), timeout=60, trust_env=False
        )
        project = jenkins.get_job(order.project)
        if project is None:
            raise ActionFailed(f"{order.server} has no job '{order.project}'")
        return _Run(order, jenkins, project, job).outputs()


@dataclass
class _Run:
    order: Order
    jenkins: Any
    project: Any
    job: Job
    said: int = 0
    number: int | None = field(default=None)

    def outputs(self) -> Outputs:
        item = self._queued()
        self.job.on_stop(lambda: self._stop(item))
        build = self.job.poll(
            self._patient(lambda: self._ended(item)),
            timeout=self.order.timeout,
            interval=INTERVAL,
        )
        found = Build(self.jenkins, build["url"])
        reports = _reports(found, build["fullDisplayName"])
        if build["result"] != "SUCCESS":
            raise ActionFailed(
                f"{build['fullDisplayName']} is {build['result']}",
                outputs=Outputs(reports=reports, link=build["url"]),
                link=build["url"],
            )
        return Outputs(
            artifacts=self._artifacts(found),
            variables={
                "BuildNumber": str(build["number"]),
                "BuildUrl": build["url"],
            },
            reports=reports,
            summary=build["fullDisplayName"],
            link=build["url"],
        )

    def _queued(self) -> int:
        """The number under which the build waits, or has waited, in the queue."""
        declared = {each["name"] for each in self.project.get_parameters()}
        names = [_parameter(name) for name in self.order.artifacts]
        for name in [*names, *self.order.parameters]:
            if name not in declared:
                raise ActionFailed(
                    f"the job '{self.order.project}' has no parameter '{name}'",
                    hint="declare it there; Jenkins passes no others on to a build",
                )
        if KEY in declared:
            return int(self.job.start_or_attach(self._start))
        mark_begun(self.job)
        try:
            return int(self._post(declared))
        except TransportError as error:
            self.job.retryable = False
            raise ActionFailed(
                f"nobody knows whether the build was started: {error}",
                hint=f"declare the parameter '{KEY}', by which builds are found again",
            ) from error

    def _start(self) -> str:
        token = token_of(self.job, "jenkins")
        if self.job.key and (found := self._found(token)):
            self.job.log("the build was started before; going on with it")
            return found
        return self._post({KEY}, {KEY: token})

    def _found(self, token: str) -> str | None:
        """Number in the queue of a build that this attempt has started before."""
        tree = "actions[parameters[name,value]]"
        queue = self.jenkins.queue.api_json(tree=f"items[id,{tree}]")["items"]
        builds = self.project.api_json(tree=f"builds[queueId,{tree}]{{0,{RECENT}}}")
        for each in [*queue, *builds["builds"]]:
            for action in each["actions"]:
                for parameter in (action or {}).get("parameters", []):
                    if parameter["name"] == KEY and parameter.get("value") == token:
                        return str(each.get("id") or each["queueId"])
        return None

    def _post(self, declared: set[str], more: Mapping[str, str] = {}) -> str:
        # In the body: addresses of artifacts do not belong into logs of requests.
        parameters = {**self.order.parameters, **self._addresses(), **more}
        entry = "buildWithParameters" if declared else "build"
        answer = self.project.handle_req("POST", entry, data=parameters)
        found = re.search(r"/queue/item/(\d+)", answer.headers.get("Location", ""))
        if found is None:
            raise ActionFailed("Jenkins does not say where in its queue the build is")
        return found[1]

    def _addresses(self) -> dict[str, str]:
        """Parameters that say where the artifacts can be fetched."""
        if not self.order.artifacts:
            return {}
        order = self.order
        with aws_session(order.credentials, order.role_arn, order.region) as aws:
            bundles = Bundles.of(aws, order.bucket, self.job)
            client = aws.client("s3")
            return {
                _parameter(name): client.generate_presigned_url(
                    "get_object",
                    Params={"Bucket": bundles.bucket, "Key": bundles.put(artifact)},
                    ExpiresIn=int(min(order.timeout, LONGEST) * 60),
                )
                for name, artifact in order.artifacts.items()
            }

    def _ended(self, item: int) -> Data | None:
        if self.number is None:
            self.number = self._numbered(item)
            if self.number is None:
                return None
            self.job.log(f"{self.project.url}{self.number}/")
        build = Build(self.jenkins, f"{self.project.url}{self.number}/")
        # Looked at before the log, so that the log of one that has ended is whole.
        found: Data = build.api_json(tree="building,result,number,fullDisplayName")
        self._tell(build)
        return None if found["building"] else {**found, "url": build.url}

    def _numbered(self, item: int) -> int | None:
        """The number of the build that has left the queue; None while it waits."""
        try:
            url = f"{self.jenkins.url}queue/item/{item}/"
            found: Data = QueueItem(self.jenkins, url).api_json()
        except ItemNotFoundError:
            # The queue forgets after five minutes what has left it.
            tree = f"builds[number,queueId]{{0,{RECENT}}}"
            for each in self.project.api_json(tree=tree)["builds"]:
                if each["queueId"] == item:
                    return int(each["number"])
            raise ActionFailed(f"Jenkins knows no build of queue item {item}") from None
        if found.get("cancelled"):
            raise ActionFailed("the build was cancelled in Jenkins' queue")
        executable = found.get("executable")
        return int(executable["number"]) if executable else None

    def _tell(self, build: Any) -> None:
        """Log the lines that came since the last time."""
        answer = build.handle_req(
            "GET", "logText/progressiveText", params={"start": self.said}
        )
        self.said = int(answer.headers.get("X-Text-Size", self.said))
        for line in answer.text.splitlines():
            self.job.log(line)

    def _stop(self, item: int) -> None:
        try:
            number = self.number or self._numbered(item)
            if number is None:
                self.jenkins.queue.cancel(item)
                # It may have left the queue just before.
                number = self._numbered(item)
            if number is not None:
                Build(self.jenkins, f"{self.project.url}{number}/").stop()
        except (JenkinsAPIException, OSError, HTTPError) as error:
            self.job.log(f"the build could not be stopped and may go on: {error}")
        except ActionFailed as error:
            self.job.log(error.message)
        else:
            self.job.log("the build is being stopped")

    def _patient(self, probe: Callable[[], R | None]) -> Callable[[], R | None]:
        def ask() -> R | None:
            try:
                return probe()
            except HTTPError as error:
                if (
                    isinstance(error, HTTPStatusError)
                    and error.response.status_code < 500
                ):
                    raise
                self.job.log(f"no answer of Jenkins, asking again: {error}")
            return None

        return ask

    def _artifacts(self, build: Any) -> dict[str, Artifact]:
        if not self.order.outputs:
            return {}
        with self.job.workspace() as folder:
            archive = folder / "archive.zip"
            with (
                build.handle_stream("GET", "artifact/*zip*/archive.zip") as answer,
                archive.open("wb") as file,
            ):
                for part in answer.iter_bytes():
                    file.write(part)
            unpack(archive, folder / "tree")
            # Jenkins puts all it has archived into a folder of this name.
            tree = folder / "tree" / "archive"
            return {
                name: Artifact.of(tree, patterns)
                for name, patterns in self.order.outputs.items()
            }


def _parameter(artifact: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", artifact).upper() + "_URL"


def _reports(build: Any, name: str) -> tuple[Report, ...]:
    found = build.get_test_report()
    if found is None:
        return ()
    counts = found.api_json(tree="passCount,failCount,skipCount,totalCount")
    failed, skipped = counts.get("failCount", 0), counts.get("skipCount", 0)
    # Reports of several modules give the total instead of what passed.
    passed = counts.get("passCount", counts.get("totalCount", 0) - failed - skipped)
    return (
        Report(kind="tests", name=name, passed=passed, failed=failed, skipped=skipped),
    )


@contextmanager
def _failing() -> Iterator[None]:
    """What Jenkins refuses becomes a failed action."""
    try:
        yield
    except (JenkinsAPIException, PermissionError, HTTPError) as error:
        raise ActionFailed(f"Jenkins: {error}") from error
