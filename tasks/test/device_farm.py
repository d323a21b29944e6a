"""Test on real devices with AWS Device Farm."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal

import httpx
from pydantic import Field

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    Report,
    action,
)
from prefect_delivery.blocks.aws_session import (
    ONCE,
    AwsSession,
    aws_session,
    patient,
    start_or_attach,
    stop_with,
    token_of,
)

INTERVAL: Final = 10.0
"""Seconds between two looks at a run."""
_APPS: Final = {"iOS": "IOS_APP", "Android": "ANDROID_APP"}
_LONGEST: Final = 600
"""Seconds that a file may take on its way."""

TestType = Literal[
    "BUILTIN_FUZZ",
    "APPIUM_JAVA_JUNIT",
    "APPIUM_JAVA_TESTNG",
    "APPIUM_NODE",
    "APPIUM_RUBY",
    "APPIUM_PYTHON",
    "APPIUM_WEB_JAVA_JUNIT",
    "APPIUM_WEB_JAVA_TESTNG",
    "APPIUM_WEB_NODE",
    "APPIUM_WEB_RUBY",
    "APPIUM_WEB_PYTHON",
    "INSTRUMENTATION",
    "XCTEST",
    "XCTEST_UI",
]
Data = dict[str, Any]


@action(
    "test/device-farm",
    permissions=(
        "devicefarm:CreateUpload",
        "devicefarm:GetRun",
        "devicefarm:GetUpload",
        "devicefarm:ListRuns",
        "devicefarm:ListUploads",
        "devicefarm:ScheduleRun",
        "devicefarm:StopRun",
    ),
)
def test_with_device_farm(
    artifact: Artifact,
    app_type: Literal["iOS", "Android", "Web"],
    project_id: str,
    app: str,
    device_pool_arn: str,
    test_type: TestType,
    *,
    test: str | None = None,
    test_spec: str | None = None,
    appium_version: str | None = None,
    radio_bluetooth_enabled: bool = True,
    radio_wifi_enabled: bool = True,
    radio_nfc_enabled: bool = True,
    radio_gps_enabled: bool = True,
    record_app_performance_data: bool = True,
    record_video: bool = True,
    fuzz_event_count: Annotated[int, Field(ge=1, le=10_000)] = 3000,
    fuzz_event_throttle: Annotated[int, Field(ge=0, le=1000)] = 50,
    fuzz_randomizer_seed: int | None = None,
    custom_host_machine_artifacts: str | None = None,
    custom_device_artifacts: str | None = None,
    unmetered_devices_only: bool = False,
    job_timeout_minutes: Annotated[int, Field(ge=5, le=150)] = 60,
    latitude: float = 47.6204,
    longitude: float = -122.3491,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = "us-west-2",
    timeout: Minutes = 480,
    job: Job = Job(),
) -> Outputs:
    """Run an app's tests on the devices of a pool, once, and wait for what they say.

    A file that the project has already is not uploaded again. When the action is
    stopped, so is the run; when the worker dies, the next one goes on with the same run.

    Args:
        artifact: Has the app and its tests.
        app_type: What the app is made for.
        project_id: Id, or ARN, of the project.
        app: Path of the app in the artifact; not read for the web.
        device_pool_arn: ARN of the pool.
        test_type: Framework of the tests.
        test: Path of the tests in the artifact; all but `BUILTIN_FUZZ` need it.
        test_spec: Path of the test spec in the artifact, for runs in custom mode.
        appium_version: Version of Appium, such as `1.22.2`.
        radio_bluetooth_enabled: Whether Bluetooth is on.
        radio_wifi_enabled: Whether Wi-Fi is on.
        radio_nfc_enabled: Whether NFC is on.
        radio_gps_enabled: Whether GPS is on.
        record_app_performance_data: Whether CPU, memory and frame rate are recorded.
        record_video: Whether a video is recorded.
        fuzz_event_count: Number of events of a fuzz test.
        fuzz_event_throttle: Milliseconds between two of them.
        fuzz_randomizer_seed: Makes the same events again.
        custom_host_machine_artifacts: Paths on the host to keep, separated by commas.
        custom_device_artifacts: Paths on the devices to keep, separated by commas.
        unmetered_devices_only: Whether only unmetered devices are used.
        job_timeout_minutes: Minutes until a device's tests are ended.
        latitude: Where the devices believe they are, in degrees.
        longitude: Where the devices believe they are, in degrees.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the project; Device Farm is in us-west-2 only.
        timeout: Minutes until the run is stopped.

    Raises:
        ActionFailed: A file is missing or refused, or the result is not PASSED.

    Source: CodePipeline user guide, "AWS Device Farm test action reference".
    """
    fuzz = test_type == "BUILTIN_FUZZ"
    if not test and not fuzz:
        raise ActionFailed(f"{test_type} needs 'test', the path of the tests")
    parameters = {
        "app_performance_monitoring": str(record_app_performance_data).lower(),
        "video_recording": str(record_video).lower(),
        **({"appium_version": appium_version} if appium_version else {}),
    }
    if fuzz:
        parameters |= {
            "event_count": str(fuzz_event_count),
            "throttle": str(fuzz_event_throttle),
        }
        if fuzz_randomizer_seed is not None:
            parameters["seed"] = str(fuzz_randomizer_seed)
    places = {
        "deviceHostPaths": custom_host_machine_artifacts,
        "iosPaths" if app_type == "iOS" else "androidPaths": custom_device_artifacts,
    }
    asked: Data = {
        "name": f"prefect-delivery {token_of(job, 'device-farm')[:32]}",
        "devicePoolArn": device_pool_arn,
        "test": {"type": test_type, "parameters": parameters},
        "configuration": {
            "location": {"latitude": latitude, "longitude": longitude},
            "radios": {
                "bluetooth": radio_bluetooth_enabled,
                "wifi": radio_wifi_enabled,
                "nfc": radio_nfc_enabled,
                "gps": radio_gps_enabled,
            },
            "billingMethod": "UNMETERED" if unmetered_devices_only else "METERED",
            "customerArtifactPaths": {
                key: [each.strip() for each in said.split(",")]
                for key, said in places.items()
                if said
            },
        },
        "executionConfiguration": {
            "jobTimeoutMinutes": job_timeout_minutes,
            "videoCapture": record_video,
        },
    }
    kinds = {
        "app": (app, _APPS.get(app_type)),
        "test": (None if fuzz else test, f"{test_type}_TEST_PACKAGE"),
        "spec": (test_spec, f"{test_type}_TEST_SPEC"),
    }
    with (
        aws_session(credentials, role_arn, region) as aws,
        job.workspace() as folder,
    ):
        asked["projectArn"] = (
            project_id
            if project_id.startswith("arn:")
            else f"arn:aws:devicefarm:{aws.region}:{aws.account}:project:{project_id}"
        )
        artifact.unpack(folder / "tree")
        files = {
            name: (_file(folder / "tree", path), kind)
            for name, (path, kind) in kinds.items()
            if path and kind
        }
        arn = start_or_attach(job, lambda: _started(aws, asked, files, artifact, job))
        client = aws.client("devicefarm")
        job.log(f"run {arn}")
        stop_with(job, lambda: client.stop_run(arn=arn), "the run")
        found = job.poll(
            patient(job, lambda: _ended(client, arn)),
            timeout=timeout,
            interval=INTERVAL,
        )
    return _outputs(found, job)


def _file(tree: Path, path: str) -> Path:
    file = (tree / path).resolve()
    if not file.is_relative_to(tree.resolve()) or not file.is_file():
        raise ActionFailed(f"the artifact has no file '{path}'")
    return file


def _started(
    aws: AwsSession,
    asked: Data,
    files: dict[str, tuple[Path, str]],
    artifact: Artifact,
    job: Job,
) -> str:
    """Start a run, or find the one that an earlier attempt has started."""
    client = aws.client("devicefarm")
    project = asked["projectArn"]
    # ScheduleRun takes no token.
    for page in client.get_paginator("list_runs").paginate(arn=project):
        for each in page["runs"]:
            if each["name"] == asked["name"]:
                return str(each["arn"])
    arns = {
        name: _uploaded(client, project, file, kind, artifact, job)
        for name, (file, kind) in files.items()
    }
    keys = {"test": "testPackageArn", "spec": "testSpecArn"}
    test = {keys[name]: arn for name, arn in arns.items() if name in keys}
    made = aws.client("devicefarm", ONCE).schedule_run(
        **asked | {"test": asked["test"] | test},
        **({"appArn": arns["app"]} if "app" in arns else {}),
    )
    return str(made["run"]["arn"])


def _uploaded(
    client: Any, project: str, file: Path, kind: str, artifact: Artifact, job: Job
) -> str:
    """ARN of an upload of the file; one that was made before serves again."""
    name = f"{artifact.digest[:16]}-{PurePosixPath(file.name)}"
    pages = client.get_paginator("list_uploads").paginate(arn=project, type=kind)
    for page in pages:
        for each in page["uploads"]:
            if each["name"] == name and each["status"] == "SUCCEEDED":
                return str(each["arn"])
    made = client.create_upload(projectArn=project, name=name, type=kind)["upload"]
    with file.open("rb") as content:
        # It is signed for no content type but this.
        kind_of = {"Content-Type": made.get("contentType", "application/octet-stream")}
        headers = {**kind_of, "Content-Length": str(file.stat().st_size)}
        httpx.put(
            made["url"], content=content, headers=headers, timeout=_LONGEST
        ).raise_for_status()

    def done() -> Data | None:
        found: Data = client.get_upload(arn=made["arn"])["upload"]
        return found if found["status"] in {"SUCCEEDED", "FAILED"} else None

    found = job.poll(patient(job, done), interval=INTERVAL)
    if found["status"] == "FAILED":
        said = found.get("message") or found.get("metadata") or "no reason given"
        raise ActionFailed(f"Device Farm refuses '{file.name}': {said}")
    return str(made["arn"])


def _ended(client: Any, arn: str) -> Data | None:
    found: Data = client.get_run(arn=arn)["run"]
    return found if found["status"] == "COMPLETED" else None


def _outputs(found: Data, job: Job) -> Outputs:
    counts = found.get("counters", {})
    failed = sum(counts.get(each, 0) for each in ("failed", "errored", "stopped"))
    skipped = counts.get("skipped", 0)
    passed = counts.get("total", 0) - failed - skipped
    report = Report(
        kind="tests", name=found["name"], passed=passed, failed=failed, skipped=skipped
    )
    summary = f"{passed} passed, {failed} failed"
    if found["result"] != "PASSED":
        said = f": {found['message']}" if found.get("message") else ""
        raise ActionFailed(
            job.reason
            if job.cancelled.is_set()
            else f"the run's result is {found['result']}{said} ({summary})",
            outputs=Outputs(
                reports=(report,), summary=summary, link=found.get("webUrl")
            ),
        )
    return Outputs(reports=(report,), summary=summary, link=found.get("webUrl"))
