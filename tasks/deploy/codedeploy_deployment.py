"""Deployments of AWS CodeDeploy: started once, followed, stopped."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from prefect_delivery.actions import ActionFailed, Job, Outputs
from prefect_delivery.blocks.aws_session import (
    ONCE,
    AwsSession,
    patient,
    start_or_attach,
    stop_with,
    token_of,
)

INTERVAL: Final = 5.0
"""Seconds between two looks at a deployment."""
_LOOK_BACK: Final = timedelta(days=7)
"""How old a deployment may be that an earlier attempt started: longer than one lasts."""
_PAGE: Final = 25
"""Deployments that CodeDeploy describes at once."""
_ENDED: Final = {"Succeeded", "Failed", "Stopped"}

Deployment = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Group:
    """A deployment group of an application."""

    application: str
    group: str

    def asked(self) -> dict[str, str]:
        """The parameters that name it."""
        return {
            "applicationName": self.application,
            "deploymentGroupName": self.group,
        }


def carry_out(
    group: Group,
    revision: Callable[[], dict[str, Any]],
    aws: AwsSession,
    job: Job,
    timeout: float,
) -> Outputs:
    """Have a group run a revision, and wait for the end, and for that of a rollback.

    Args:
        revision: Makes the revision; called again when nobody knows what was done.
        timeout: Minutes until the deployment is stopped.

    Raises:
        ActionFailed: It ended in any state but Succeeded; says why.
    """
    client = aws.client("codedeploy")
    mark = f"prefect-delivery {token_of(job, 'codedeploy')}"

    def start() -> str:
        # CreateDeployment takes no token, so the description says whose it is.
        if job.key and (known := _found(client, group, mark)):
            job.log(f"deployment {known} was started before; going on with it")
            return known
        made = aws.client("codedeploy", ONCE).create_deployment(
            **group.asked(), revision=revision(), description=mark
        )
        return str(made["deploymentId"])

    number = start_or_attach(job, start)
    job.log(f"deployment {number} of {group.application} / {group.group}")
    stop_with(
        job,
        lambda: client.stop_deployment(deploymentId=number, autoRollbackEnabled=True),
        f"deployment {number}",
    )
    found = _wait(client, number, job, timeout)
    if found["status"] == "Succeeded":
        return Outputs(
            variables={"DeploymentId": number}, summary=f"{number} succeeded"
        )
    failure = job.reason if job.cancelled.is_set() else _failure(number, found)
    back = found.get("rollbackInfo", {}).get("rollbackDeploymentId")
    if back:
        # A group takes one deployment at a time: the next action finds it free.
        status = _wait(client, back, job, timeout)["status"]
        failure += f"; deployment {back} of the revision before {status.lower()}"
    raise ActionFailed(failure)


def _found(client: Any, group: Group, mark: str) -> str | None:
    """The deployment that an earlier attempt has started, if any."""
    since = datetime.now(UTC) - _LOOK_BACK
    pages = client.get_paginator("list_deployments").paginate(
        **group.asked(), createTimeRange={"start": since}
    )
    ids = [each for page in pages for each in page["deployments"]]
    for first in range(0, len(ids), _PAGE):
        asked = ids[first : first + _PAGE]
        for each in client.batch_get_deployments(deploymentIds=asked)[
            "deploymentsInfo"
        ]:
            if each.get("description") == mark:
                return str(each["deploymentId"])
    return None


def _wait(client: Any, number: str, job: Job, timeout: float) -> Deployment:
    said = ""

    def ended() -> Deployment | None:
        nonlocal said
        found: Deployment = client.get_deployment(deploymentId=number)["deploymentInfo"]
        if (progress := _progress(found)) != said:
            said = progress
            job.log(f"deployment {number} is {progress}")
        return found if found["status"] in _ENDED else None

    return job.poll(patient(job, ended), timeout=timeout, interval=INTERVAL)


def _progress(found: Deployment) -> str:
    counts = [
        f"{count} {name}"
        for name, count in found.get("deploymentOverview", {}).items()
        if count
    ]
    return ", ".join([str(found["status"]), *counts])


def _failure(number: str, found: Deployment) -> str:
    error = found.get("errorInformation", {})
    said = [error[key] for key in ("code", "message") if error.get(key)]
    return f"deployment {number} is {found['status']}: " + (
        ": ".join(said) or "no reason given"
    )
