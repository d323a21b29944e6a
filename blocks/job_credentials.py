"""Credentials for a job worker, good for the artifacts of its job and nothing else."""

import json
from collections.abc import Mapping
from typing import Any, Final

from prefect_delivery.blocks.aws_session import aws_session

SECONDS: Final = 3600
"""For which they are good; GetJobDetails gives new ones."""
NAME: Final = "deliver-job"


def artifact_credentials(access: Mapping[str, Any]) -> dict[str, str] | None:
    """Credentials for the objects of a job; None for a job without artifacts.

    Args:
        access: `credentials`, `role_arn` and `region` of the action; the
            `artifact_role` to assume, or None for a federation token of the action's
            user; the objects that it `reads` and `writes`, as `bucket/key`.

    Raises:
        ActionFailed: AWS gives none, as it does to roles without an artifact role.
    """
    if not (access.get("reads") or access.get("writes")):
        return None
    policy = json.dumps(_policy(access))
    with aws_session(
        access["credentials"], access["role_arn"], access["region"]
    ) as aws:
        sts = aws.client("sts")
        if role := access["artifact_role"]:
            answer = sts.assume_role(
                RoleArn=role,
                RoleSessionName=NAME,
                Policy=policy,
                DurationSeconds=SECONDS,
            )
        else:
            answer = sts.get_federation_token(
                Name=NAME, Policy=policy, DurationSeconds=SECONDS
            )
    found = answer["Credentials"]
    return {
        "accessKeyId": found["AccessKeyId"],
        "secretAccessKey": found["SecretAccessKey"],
        "sessionToken": found["SessionToken"],
    }


def _policy(access: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": actions,
                "Resource": [f"arn:aws:s3:::{place}" for place in places],
            }
            for actions, places in (
                (["s3:GetObject"], access["reads"]),
                (["s3:PutObject", "s3:AbortMultipartUpload"], access["writes"]),
            )
            if places
        ],
    }
