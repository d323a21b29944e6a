"""A double of Elastic Beanstalk: moto has no versions and no updates of environments.

A bundle with a file `broken` is not deployed; one with `red` runs, with red health.
"""

import io
import zipfile
from typing import Any

from aws import Refusal

Data = dict[str, Any]
BUCKET = "elasticbeanstalk-eu-west-1-111122223333"


class Beanstalk:
    """The application `shop` with the environment `shop-live`.

    Attributes:
        versions: By label, with their bundles.
        updates: Label of each update that has begun.
    """

    def __init__(self, s3: Any) -> None:
        self.s3 = s3
        self.versions: dict[str, Data] = {"by-hand": {"Description": ""}}
        self.tags: dict[str, str] = {}
        self.updates: list[str] = []
        self.environment: Data = {
            "EnvironmentName": "shop-live",
            "VersionLabel": "by-hand",
            "Status": "Ready",
            "Health": "Green",
            "CNAME": "shop-live.example.com",
        }
        self.next: Data = {}
        self.errors: list[str] = []

    @property
    def answers(self) -> dict[str, Any]:
        return {
            "CreateStorageLocation": lambda _: {"S3Bucket": BUCKET},
            "DescribeApplications": lambda _: {
                "Applications": [{"ApplicationArn": "arn:aws:elasticbeanstalk:::shop"}]
            },
            "ListTagsForResource": lambda _: {
                "ResourceTags": [
                    {"Key": key, "Value": value} for key, value in self.tags.items()
                ]
            },
            "UpdateTagsForResource": self.tag,
            "CreateApplicationVersion": self.create,
            "DescribeApplicationVersions": lambda q: {
                "ApplicationVersions": [
                    {"VersionLabel": label, "Description": each["Description"]}
                    for label, each in self.versions.items()
                    if label in q["VersionLabels"]
                ]
            },
            "DescribeEnvironments": self.look,
            "UpdateEnvironment": self.update,
            "DescribeEvents": lambda _: {
                "Events": [{"Message": message} for message in self.errors[-1:]]
            },
        }

    def tag(self, asked: Data) -> Data:
        self.tags |= {tag["Key"]: tag["Value"] for tag in asked["TagsToAdd"]}
        return {}

    def create(self, asked: Data) -> Data:
        label = asked["VersionLabel"]
        if label in self.versions:
            raise Refusal("InvalidParameterValue", f"{label} already exists.")
        place = asked["SourceBundle"]
        body = self.s3.get_object(Bucket=place["S3Bucket"], Key=place["S3Key"])["Body"]
        names = zipfile.ZipFile(io.BytesIO(body.read())).namelist()
        self.versions[label] = {"Description": asked["Description"], "names": names}
        return {"ApplicationVersion": {"VersionLabel": label}}

    def look(self, asked: Data) -> Data:
        found = dict(self.environment)
        if self.environment["Status"] == "Updating":
            self.environment |= {"Status": "Ready", **self.next}
        known = asked["EnvironmentNames"] == [found["EnvironmentName"]]
        return {"Environments": [found] if known else []}

    def update(self, asked: Data) -> Data:
        if self.environment["Status"] != "Ready":
            raise Refusal("InvalidParameterValue", "the environment must be Ready")
        label = asked["VersionLabel"]
        names = self.versions[label].get("names", [])
        self.updates.append(label)
        self.next = {"Health": "Red" if "red" in names else "Green"}
        if "broken" in names:
            self.errors.append("Failed to deploy application.")
        else:
            self.next["VersionLabel"] = label
        self.environment |= {"Status": "Updating"}
        return self.environment
