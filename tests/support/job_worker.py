"""A job worker of CodePipeline's, as teams have them: boto3, and nothing of ours.

    python job_worker.py ENDPOINT MODE

It carries out one job and ends; mode `hang` takes it and never ends.
"""

import io
import sys
import time
import zipfile
from typing import Any

import boto3  # type: ignore[import-untyped]  # no py.typed

KIND = {"category": "Build", "owner": "Custom", "provider": "Shouter", "version": "1"}


def main(endpoint: str, mode: str) -> None:
    """Poll until there is a job, and do as the mode says."""
    codepipeline = boto3.client("codepipeline", endpoint_url=endpoint)
    job = next_job(codepipeline)
    print("took", job["id"], flush=True)
    if mode == "hang":
        time.sleep(600)
    if mode == "fail":
        said = {"type": "ConfigurationError", "message": "what should I shout?"}
        codepipeline.put_job_failure_result(jobId=job["id"], failureDetails=said)
        return
    if mode == "continue" and "continuationToken" not in job["data"]:
        codepipeline.put_job_success_result(jobId=job["id"], continuationToken="louder")
        job = next_job(codepipeline)
        assert job["data"]["continuationToken"] == "louder"
    details = codepipeline.get_job_details(jobId=job["id"])["jobDetails"]
    if job["data"]["inputArtifacts"]:
        shout(details["data"])
    codepipeline.put_job_success_result(
        jobId=job["id"],
        executionDetails={"summary": "shouted", "externalExecutionId": "7"},
        outputVariables={
            "Words": job["data"]["actionConfiguration"]["configuration"]["Words"]
        },
    )


def next_job(codepipeline: Any) -> dict[str, Any]:
    while True:
        for job in codepipeline.poll_for_jobs(actionTypeId=KIND)["jobs"]:
            taken = codepipeline.acknowledge_job(jobId=job["id"], nonce=job["nonce"])
            if taken["status"] == "InProgress":
                found: dict[str, Any] = job
                return found
        time.sleep(0.1)


def shout(data: dict[str, Any]) -> None:
    """Put the files of the input into the output, in capitals."""
    access = data["artifactCredentials"]
    s3 = boto3.client(
        "s3",
        aws_access_key_id=access["accessKeyId"],
        aws_secret_access_key=access["secretAccessKey"],
        aws_session_token=access["sessionToken"],
    )
    source, target = (
        data[key][0]["location"]["s3Location"]
        for key in ("inputArtifacts", "outputArtifacts")
    )
    read = s3.get_object(Bucket=source["bucketName"], Key=source["objectKey"])
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(read["Body"].read())) as given,
        zipfile.ZipFile(out, "w") as made,
    ):
        for name in given.namelist():
            made.writestr(name, given.read(name).upper())
    s3.put_object(
        Bucket=target["bucketName"], Key=target["objectKey"], Body=out.getvalue()
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
