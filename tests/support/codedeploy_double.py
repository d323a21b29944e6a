"""A double of CodeDeploy: moto's deployments stay Created for ever.

A deployment moves on each time it is looked at. It fails when the group is told to.
"""

import io
import zipfile
from hashlib import sha256
from typing import Any

from aws import Answering, Refusal

Data = dict[str, Any]


class CodeDeploy:
    """The application `shop` with the group `live`, which takes one at a time.

    Attributes:
        deployments: By id, as they are described; those of rollbacks are among them.
        fails: Whether the next deployments do, and are rolled back.
        holds: Whether deployments stay in progress until they are stopped.
    """

    def __init__(self, s3: Any) -> None:
        self.s3 = s3
        self.deployments: dict[str, Data] = {}
        self.fails = False
        self.holds = False

    @property
    def operations(self) -> dict[str, Answering]:
        return {
            "CreateDeployment": self.create,
            "ListDeployments": lambda _: {"deployments": [*self.deployments]},
            "BatchGetDeployments": lambda asked: {
                "deploymentsInfo": [
                    self.deployments[each] for each in asked["deploymentIds"]
                ]
            },
            "GetDeployment": self.look,
            "StopDeployment": self.stop,
        }

    def create(self, asked: Data) -> Data:
        if asked["applicationName"] != "shop":
            raise Refusal("ApplicationDoesNotExistException", "no such application")
        if any(each["status"] == "InProgress" for each in self.deployments.values()):
            raise Refusal("DeploymentLimitExceededException", "already deploying")
        revision = asked["revision"]
        if content := revision.get("appSpecContent"):
            assert sha256(content["content"].encode()).hexdigest() == content["sha256"]
        return {"deploymentId": self._add(asked)}

    def look(self, asked: Data) -> Data:
        found = self.deployments[asked["deploymentId"]]
        answer = {"deploymentInfo": dict(found)}
        if found["status"] == "InProgress" and not self.holds:
            self._end(found)
        return answer

    def stop(self, asked: Data) -> Data:
        found = self.deployments[asked["deploymentId"]]
        found["status"] = "Stopped"
        found["rolledBack"] = asked["autoRollbackEnabled"]
        return {"status": "Pending"}

    def files(self, number: str) -> list[str]:
        """What is in the bundle of a deployment."""
        place = self.deployments[number]["revision"]["s3Location"]
        body = self.s3.get_object(Bucket=place["bucket"], Key=place["key"])["Body"]
        return zipfile.ZipFile(io.BytesIO(body.read())).namelist()

    def _add(self, asked: Data) -> str:
        number = f"d-{len(self.deployments) + 1}"
        self.deployments[number] = {
            **asked,
            "deploymentId": number,
            "status": "InProgress",
            "deploymentOverview": {"Pending": 0, "InProgress": 1},
        }
        return number

    def _end(self, found: Data) -> None:
        if not self.fails:
            found["status"] = "Succeeded"
            return
        self.fails = False
        found["status"] = "Failed"
        found["errorInformation"] = {
            "code": "HEALTH_CONSTRAINTS",
            "message": "too few instances are healthy",
        }
        back = self._add({"description": "rollback"})
        found["rollbackInfo"] = {"rollbackDeploymentId": back}
