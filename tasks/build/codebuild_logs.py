"""A build's log as CloudWatch Logs keeps it."""

from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import Job
from prefect_delivery.blocks.aws_session import AwsSession, code_of, said


class LogStream:
    """A stream of lines, each told once."""

    def __init__(self, aws: AwsSession, group: str, stream: str) -> None:
        self._client = aws.client("logs")
        self._place = {"logGroupName": group, "logStreamName": stream}
        self._next: dict[str, str] = {}
        self._is_readable = True

    def tell(self, job: Job) -> None:
        """Log the lines that came since the last time.

        A log that may not be read does not fail the build: it is said once.
        """
        while self._is_readable:
            try:
                page: dict[str, Any] = self._client.get_log_events(
                    **self._place, **self._next, startFromHead=True
                )
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    return  # nothing was written yet
                if code_of(error) != "AccessDeniedException":
                    raise
                job.log(f"the build's log cannot be read: {said(error)}")
                self._is_readable = False
                return
            for event in page["events"]:
                job.log(event["message"].rstrip("\r\n"))
            # The end is where the token stays the same.
            token = page["nextForwardToken"]
            if token == self._next.get("nextToken"):
                return
            self._next = {"nextToken": token}
