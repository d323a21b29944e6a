"""Runs on Device Farm; a double, as neither emulator has the service."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws import Answering, Handler, Wire, json_service, served

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.test import device_farm
from prefect_delivery.tasks.test.device_farm import test_with_device_farm as act

Data = dict[str, Any]
Making = Callable[[dict[str, str]], Artifact]
POOL = "arn:aws:devicefarm:us-west-2::devicepool:top"
PROJECT = "arn:aws:devicefarm:us-west-2:123456789012:project:p-1"


class Farm:
    """A project whose runs are over when they are looked at twice.

    Attributes:
        uploads: By ARN, with what was sent.
        runs: By ARN, as they were asked for.
        result: What the next runs end with.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.uploads: dict[str, Data] = {}
        self.runs: dict[str, Data] = {}
        self.sent: dict[str, bytes] = {}
        self.looks = 0
        self.result = "PASSED"
        self.stopped: list[str] = []
        self.operations: dict[str, Answering] = {
            "ListRuns": lambda asked: {
                "runs": [
                    {"arn": arn, "name": each["name"]}
                    for arn, each in self.runs.items()
                    if each["projectArn"] == asked["arn"]
                ]
            },
            "ListUploads": lambda asked: {
                "uploads": [
                    each
                    for each in self.uploads.values()
                    if each["type"] == asked["type"]
                ]
            },
            "CreateUpload": self.create,
            "GetUpload": lambda asked: {"upload": self.uploads[asked["arn"]]},
            "ScheduleRun": self.schedule,
            "GetRun": self.look,
            "StopRun": self.stop,
        }

    def create(self, asked: Data) -> Data:
        arn = f"arn:aws:devicefarm:us-west-2:1:upload:{len(self.uploads)}"
        self.uploads[arn] = {
            "arn": arn,
            "name": asked["name"],
            "type": asked["type"],
            "status": "SUCCEEDED",
            "url": f"{self.place}/{asked['name']}",
        }
        return {"upload": self.uploads[arn]}

    def schedule(self, asked: Data) -> Data:
        arn = f"arn:aws:devicefarm:us-west-2:1:run:{len(self.runs)}"
        self.runs[arn] = asked
        return {"run": {"arn": arn}}

    def stop(self, asked: Data) -> Data:
        self.stopped.append(asked["arn"])
        return {"run": {}}

    def look(self, asked: Data) -> Data:
        self.looks += 1
        run = {
            "name": self.runs[asked["arn"]]["name"],
            "status": "COMPLETED" if self.looks > 1 else "RUNNING",
            "result": self.result,
            "counters": {"total": 5, "passed": 3, "failed": 1, "skipped": 1},
        }
        return {"run": run}


@pytest.fixture
def farm(cloud: None, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[Farm]:
    made: Farm

    class Store(Handler):
        def do_PUT(self) -> None:
            made.sent[self.path[1:]] = self.body()
            self.answer(200, b"")

    monkeypatch.setattr(device_farm, "INTERVAL", 0.01)
    with served(Store) as place:
        made = Farm(place)
        with (
            json_service("devicefarm", made.operations) as double,
            wire.to(double) as address,
        ):
            monkeypatch.setenv("AWS_ENDPOINT_URL_DEVICE_FARM", address)
            yield made


@pytest.fixture
def shop(artifact: Making) -> Artifact:
    return artifact({"build/shop.apk": "app", "tests.zip": "tests", "spec.yml": "spec"})


def run(shop: Artifact, job: Job, **more: Any) -> Outputs:
    given: Data = {"test": "tests.zip", **more}
    kind = given.pop("kind", "APPIUM_PYTHON")
    made: Outputs = act.fn(
        shop, "Android", "p-1", "build/shop.apk", POOL, kind, job=job, **given
    )
    return made


def test_an_app_is_tested_in_one_run(
    farm: Farm, shop: Artifact, job: Job, wire: Wire
) -> None:
    wire.cuts += ["ScheduleRun"]

    made = run(
        shop,
        job,
        test_spec="spec.yml",
        appium_version="1.22.2",
        radio_nfc_enabled=False,
        custom_device_artifacts="/a, /b",
        unmetered_devices_only=True,
        latitude=1.5,
    )

    assert wire.cuts == []
    assert made.summary == "3 passed, 1 failed"
    (asked,) = farm.runs.values()
    assert asked["projectArn"] == PROJECT
    names = {
        each: farm.uploads[arn]["name"].partition("-")[2]
        for each, arn in (
            ("app", asked["appArn"]),
            ("test", asked["test"]["testPackageArn"]),
            ("spec", asked["test"]["testSpecArn"]),
        )
    }
    assert names == {"app": "shop.apk", "test": "tests.zip", "spec": "spec.yml"}
    assert sorted(farm.sent.values()) == [b"app", b"spec", b"tests"]
    assert asked["test"]["parameters"]["appium_version"] == "1.22.2"
    settings = asked["configuration"]
    assert settings["radios"]["nfc"] is False
    assert settings["location"]["latitude"] == 1.5
    assert settings["billingMethod"] == "UNMETERED"
    assert settings["customerArtifactPaths"] == {"androidPaths": ["/a", "/b"]}


def test_a_file_is_uploaded_once(farm: Farm, shop: Artifact, job: Job) -> None:
    run(shop, job)
    job.key, job._external = "e2/Test/shop/1", None

    run(shop, job, kind="BUILTIN_FUZZ", test=None, fuzz_randomizer_seed=7)

    assert len(farm.runs) == 2
    assert len(farm.uploads) == 2
    fuzz = [*farm.runs.values()][1]["test"]
    assert fuzz["parameters"]["seed"] == "7"
    assert "testPackageArn" not in fuzz


def test_failed_tests_fail_the_action_and_are_reported(
    farm: Farm, shop: Artifact, job: Job
) -> None:
    farm.result = "FAILED"

    with pytest.raises(ActionFailed, match="result is FAILED") as caught:
        run(shop, job)

    assert isinstance(caught.value.outputs, Outputs)
    (report,) = caught.value.outputs.reports
    assert (report.passed, report.failed, report.skipped) == (3, 1, 1)


def test_a_stopped_action_stops_its_run(farm: Farm, shop: Artifact, job: Job) -> None:
    job.cancel("somebody stopped it")

    with pytest.raises(ActionFailed, match="somebody stopped it"):
        run(shop, job)

    assert farm.stopped == [*farm.runs]


def test_whatever_answer_is_lost_one_run_is_stopped(
    farm: Farm, shop: Artifact, job: Job, wire: Wire
) -> None:
    wire.each = True
    job.cancel("somebody stopped it")

    with pytest.raises(ActionFailed, match="somebody stopped it"):
        run(shop, job)

    assert len(farm.runs) == 1
    assert {*farm.stopped} == {*farm.runs}
    assert {"CreateUpload", "ScheduleRun", "StopRun"} <= wire.lost


def test_what_is_missing_is_named(farm: Farm, shop: Artifact, job: Job) -> None:
    with pytest.raises(ActionFailed, match="APPIUM_PYTHON needs 'test'"):
        run(shop, job, test=None)
    with pytest.raises(ActionFailed, match=r"no file 'other\.zip'"):
        run(shop, job, test="other.zip")
    assert farm.runs == {}
