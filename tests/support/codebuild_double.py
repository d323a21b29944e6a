"""A double of CodeBuild: moto's builds all succeed at once, even those that are stopped.

It runs the commands of a buildspec for real, on a source from S3, and leaves log,
artifacts and exported variables as CodeBuild does. Tokens are kept, also in batches.
"""

import io
import os
import signal
import subprocess
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

from aws import Refusal
from ruamel.yaml import YAML

Data = dict[str, Any]
PROJECT = "shop"


class CodeBuild:
    """One project, `shop`, whose buildspec stands in its source.

    Attributes:
        builds: By id, as BatchGetBuilds gives them.
        reports: By ARN, what every build says it has made.
        tokens: Those that are remembered; CodeBuild does so for five minutes.
        forgets_after: Requests for a build after which tokens are forgotten.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.builds: dict[str, Data] = {}
        self.batches: dict[str, Data] = {}
        self.tokens: dict[str, str] = {}
        self.reports: dict[str, Data] = {}
        self.forgets_after: int | None = None
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.asked: list[Data] = []
        self.lock = threading.Lock()

    @property
    def operations(self) -> dict[str, Any]:
        return {
            "StartBuild": self.start,
            "StopBuild": self.stop,
            "BatchGetBuilds": lambda q: _found("builds", self.builds, q["ids"]),
            "ListBuildsForProject": lambda _: {"ids": list(self.builds)[::-1]},
            "StartBuildBatch": self.start_batch,
            "StopBuildBatch": self.stop_batch,
            "BatchGetBuildBatches": self.get_batches,
            "ListBuildBatchesForProject": lambda _: {"ids": list(self.batches)[::-1]},
            "BatchGetProjects": lambda _: {
                "projects": [
                    {"name": PROJECT, "buildBatchConfig": {"serviceRole": "r"}}
                ]
            },
            "BatchGetReports": lambda q: {
                "reports": [self.reports[arn] for arn in q["reportArns"]]
            },
            "DescribeTestCases": lambda q: {
                "testCases": [
                    {"name": "test_pay", "status": "FAILED", "message": "too dear"}
                ]
                if q["filter"]["status"] == "FAILED"
                else []
            },
        }

    def start(self, asked: Data) -> Data:
        self._check(asked)
        with self.lock:
            self.asked.append(asked)
            token = asked["idempotencyToken"]
            known = self.tokens.get(token)
            if len(self.asked) == self.forgets_after:
                self.tokens.clear()
            if known:
                return {"build": _shown(self.builds[known])}
            build = self._build(asked, f"{PROJECT}:b{len(self.builds) + 1}")
            self.tokens[token] = build["id"]
        threading.Thread(target=self._run, args=[build, asked], daemon=True).start()
        return {"build": build}

    def start_batch(self, asked: Data) -> Data:
        self._check(asked)
        with self.lock:
            self.asked.append(asked)
            token = asked["idempotencyToken"]
            if token in self.tokens:
                return {"buildBatch": self.batches[self.tokens[token]]}
            batch: Data = {
                "id": f"{PROJECT}:batch{len(self.batches) + 1}",
                "buildBatchStatus": "IN_PROGRESS",
                "complete": False,
                "environment": self._environment(asked),
            }
            builds = {
                name: self._build(asked, f"{PROJECT}:{name}") for name in ("one", "two")
            }
            batch["buildGroups"] = [
                {
                    "identifier": name,
                    "currentBuildSummary": {
                        "arn": f"arn:aws:codebuild:eu-west-1:1:build/{build['id']}"
                    },
                }
                for name, build in builds.items()
            ]
            self.batches[batch["id"]] = batch
            self.tokens[token] = batch["id"]
        for name, build in builds.items():
            threading.Thread(
                target=self._run, args=[build, asked, name], daemon=True
            ).start()
        return {"buildBatch": batch}

    def get_batches(self, asked: Data) -> Data:
        for batch in self.batches.values():
            builds = [
                self.builds[group["currentBuildSummary"]["arn"].partition(":build/")[2]]
                for group in batch["buildGroups"]
            ]
            for group, build in zip(batch["buildGroups"], builds, strict=True):
                if build["artifacts"].get("location"):
                    group["currentBuildSummary"]["primaryArtifact"] = {
                        "type": "S3",
                        "location": build["artifacts"]["location"],
                    }
            if all(build["buildComplete"] for build in builds):
                states = {build["buildStatus"] for build in builds}
                batch["buildBatchStatus"] = (
                    "SUCCEEDED" if states == {"SUCCEEDED"} else max(states)
                )
                batch["complete"] = True
        return _found("buildBatches", self.batches, asked["ids"])

    def stop(self, asked: Data) -> Data:
        build = self.builds[asked["id"]]
        build["_stopped"] = True
        process = self.processes.get(asked["id"])
        if process and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        return {"build": _shown(build)}

    def stop_batch(self, asked: Data) -> Data:
        for group in self.batches[asked["id"]]["buildGroups"]:
            arn = group["currentBuildSummary"]["arn"]
            self.stop({"id": arn.partition(":build/")[2]})
        return {"buildBatch": self.batches[asked["id"]]}

    def _check(self, asked: Data) -> None:
        if asked["projectName"] != PROJECT:
            raise Refusal(
                "ResourceNotFoundException", f"no project {asked['projectName']}"
            )
        for each in asked.get("secondarySourcesOverride", []):
            if not each["sourceIdentifier"].replace("_", "").isalnum():
                raise Refusal("InvalidInputException", "Invalid sourceIdentifier")

    def _environment(self, asked: Data) -> Data:
        return {
            "type": "LINUX_CONTAINER",
            "image": "standard",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": asked.get("environmentVariablesOverride", []),
        }

    def _build(self, asked: Data, build_id: str) -> Data:
        build: Data = {
            "id": build_id,
            "arn": f"arn:aws:codebuild:eu-west-1:1:build/{build_id}",
            "buildStatus": "IN_PROGRESS",
            "buildComplete": False,
            "phases": [],
            "artifacts": {},
            "secondaryArtifacts": [],
            "exportedEnvironmentVariables": [],
            "reportArns": list(self.reports),
            "environment": self._environment(asked),
            "logs": {
                "groupName": f"/aws/codebuild/{PROJECT}",
                # The service may be one that other tests have used.
                "streamName": uuid4().hex,
                "deepLink": f"https://console.aws.amazon.com/{build_id}",
            },
        }
        self.builds[build_id] = build
        return build

    def _run(self, build: Data, asked: Data, name: str = "") -> None:
        with tempfile.TemporaryDirectory() as folder:
            sources = self._sources(asked, Path(folder))
            work = sources["CODEBUILD_SRC_DIR"]
            override = asked.get("buildspecOverride", "")
            text = override if "version" in override else ""
            spec = YAML(typ="safe").load(
                text or Path(work, override or "buildspec.yml").read_text()
            )
            variables = {
                each["name"]: each["value"]
                for each in asked.get("environmentVariablesOverride", [])
            }
            exported = spec.get("env", {}).get("exported-variables", [])
            script = "\n".join(
                [
                    "set -e",
                    *spec["phases"]["build"]["commands"],
                    *(
                        f'echo "{each}=${each}" >> {folder}/exported'
                        for each in exported
                    ),
                ]
            )
            process = subprocess.Popen(
                ["sh", "-c", script],
                cwd=work,
                env={"PATH": os.environ["PATH"], "NAME": name, **sources, **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.processes[build["id"]] = process
            assert process.stdout
            self._keep_log(build, process.stdout)
            ok = process.wait() == 0
            if ok:
                self._upload(build, asked, spec.get("artifacts", {}), Path(work))
                lines = Path(folder, "exported")
                build["exportedEnvironmentVariables"] = [
                    dict(zip(("name", "value"), line.split("=", 1), strict=True))
                    for line in (lines.read_text().splitlines() if exported else [])
                ]
        said = (
            f"Error while executing command. Reason: exit status {process.returncode}"
        )
        self._end(build, None if ok else said)

    def _end(self, build: Data, failure: str | None) -> None:
        status = "FAILED" if failure else "SUCCEEDED"
        status = "STOPPED" if build.get("_stopped") else status
        build["phases"].append(
            {
                "phaseType": "BUILD",
                "phaseStatus": status,
                "contexts": (
                    [{"statusCode": "E", "message": failure}] if failure else []
                ),
            }
        )
        build["buildStatus"] = status
        build["buildComplete"] = True

    def _sources(self, asked: Data, folder: Path) -> dict[str, str]:
        places = {"CODEBUILD_SRC_DIR": asked["sourceLocationOverride"]}
        for each in asked.get("secondarySourcesOverride", []):
            places[f"CODEBUILD_SRC_DIR_{each['sourceIdentifier']}"] = each["location"]
        for name, place in places.items():
            bucket, _, key = place.partition("/")
            body = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
            zipfile.ZipFile(io.BytesIO(body)).extractall(folder / name)
        return {name: str(folder / name) for name in places}

    def _keep_log(self, build: Data, lines: Iterable[bytes]) -> None:
        logs, place = self.client("logs"), build["logs"]
        group, stream = place["groupName"], place["streamName"]
        with self.lock:
            if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
                logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        for line in lines:
            event = {"timestamp": int(time.time() * 1000), "message": line.decode()}
            logs.put_log_events(
                logGroupName=group, logStreamName=stream, logEvents=[event]
            )

    def _upload(self, build: Data, asked: Data, spec: Data, work: Path) -> None:
        primary = asked["artifactsOverride"]
        if primary["type"] == "S3":
            build["artifacts"] = {"location": self._put(primary, build, spec, work)}
        build["secondaryArtifacts"] = [
            {
                "artifactIdentifier": each["artifactIdentifier"],
                "location": self._put(
                    each,
                    build,
                    spec["secondary-artifacts"][each["artifactIdentifier"]],
                    work,
                ),
            }
            for each in asked.get("secondaryArtifactsOverride", [])
        ]

    def _put(self, place: Data, build: Data, spec: Data, work: Path) -> str:
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as bundle:
            for pattern in spec["files"]:
                for path in work.glob(pattern):
                    if path.is_file():
                        bundle.write(path, path.relative_to(work))
        own = (
            f"/{build['id'].partition(':')[2]}"
            if place["namespaceType"] == "BUILD_ID"
            else ""
        )
        key = f"{place['path']}{own}/{place['name']}"
        self.client("s3").put_object(
            Bucket=place["location"], Key=key, Body=body.getvalue()
        )
        return f"arn:aws:s3:::{place['location']}/{key}"


def _shown(build: Data) -> Data:
    return {key: value for key, value in build.items() if not key.startswith("_")}


def _found(name: str, all_: dict[str, Data], ids: list[str]) -> Data:
    return {name: [_shown(all_[each]) for each in ids if each in all_]}
