"""Artifacts in a bucket of S3.

Sources: S3 user guide, "Add preconditions to S3 operations with conditional requests",
"Checking object integrity", "Uploading and copying objects using multipart upload".
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import (  # type: ignore[import-untyped]  # no py.typed
    BotoCoreError,
    ClientError,
)

from prefect_delivery.artifacts.objects import Stored
from prefect_delivery.blocks.aws_session import AwsSession, code_of, said
from prefect_delivery.errors import ActionFailed, ArtifactError

PART: Final = 16 << 20
"""Bytes that are sent at once; what is larger is sent in parts."""
PARALLEL: Final = 4
"""Parts that are sent at the same time, each of which is in memory."""
_THERE: Final = "PreconditionFailed"
_CONFLICT: Final = "ConditionalRequestConflict"
_TRIES: Final = 4
_MISSING: Final = {"NoSuchKey", "404"}


class S3Objects:
    """Objects below a prefix of a bucket, each sent with its SHA-256.

    Args:
        url: `s3://bucket/prefix`.
        credentials: Name of a saved `AwsCredentials` block.
        kms_key: Id or ARN of the key to encrypt with; the bucket's own way by default.

    Raises:
        ArtifactError: The URL is none, or there is no such block.
    """

    def __init__(
        self, url: str, *, credentials: str | None = None, kms_key: str | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise ArtifactError(
                f"'{url}' names no place in S3",
                hint="set PREFECT_DELIVERY_ARTIFACT_STORE=s3://bucket/prefix",
            )
        self._url = url
        self._bucket = parts.netloc
        self._prefix = parts.path.strip("/") + "/" if parts.path.strip("/") else ""
        self._how = {"ChecksumAlgorithm": "SHA256"}
        self._encryption: dict[str, str] = {}
        if kms_key:
            self._encryption = {
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": kms_key,
            }
        try:
            self._client: Any = AwsSession(credentials).client("s3")
        except ActionFailed as error:
            raise ArtifactError(error.message, hint=error.hint) from error

    def __str__(self) -> str:
        return self._url

    def list(self, prefix: str) -> Iterator[Stored]:
        """The objects whose keys begin so."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        with self._explained():
            for page in pages:
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self._prefix)
                    yield Stored(key, found["Size"], found["LastModified"])

    def stat(self, key: str) -> Stored | None:
        """An object without its content, if it is there."""
        with self._explained():
            try:
                found = self._client.head_object(**self._at(key))
            except ClientError as error:
                if code_of(error) in _MISSING:
                    return None
                raise
        return Stored(key, found["ContentLength"], found["LastModified"])

    def read(self, key: str, at: int = 0, length: int | None = None) -> bytes | None:
        """The bytes of an object from an offset; None when it is not there."""
        if length == 0:
            return b""
        part = {} if length is None else {"Range": f"bytes={at}-{at + length - 1}"}
        with self._explained():
            try:
                found = self._client.get_object(**self._at(key), **part)
                data: bytes = found["Body"].read()
            except ClientError as error:
                if code_of(error) in _MISSING:
                    return None
                raise
        return data

    def write(self, key: str, data: bytes) -> None:
        """Make an object, in place of any that has the key."""
        with self._explained():
            self._put(key, data)

    def create(self, key: str, file: Path) -> None:
        """Make an object of a file, unless there is one with this key."""
        with self._explained():
            for left in reversed(range(_TRIES)):
                try:
                    if file.stat().st_size <= PART:
                        self._put(key, file.read_bytes(), IfNoneMatch="*")
                    else:
                        self._put_in_parts(key, file)
                except ClientError as error:
                    if code_of(error) == _THERE:
                        return
                    # Another was being written at that moment, and may have failed.
                    if code_of(error) != _CONFLICT or not left:
                        raise
                else:
                    return

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        with self._explained():
            self._client.delete_object(**self._at(key))

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _put(self, key: str, data: bytes, **more: str) -> None:
        self._client.put_object(
            **self._at(key), Body=data, **self._how, **self._encryption, **more
        )

    def _put_in_parts(self, key: str, file: Path) -> None:
        """What a killed process leaves is removed by the bucket's own lifecycle rule."""
        made = self._client.create_multipart_upload(
            **self._at(key), **self._how, **self._encryption
        )
        upload = {**self._at(key), "UploadId": made["UploadId"]}

        def send(number: int) -> dict[str, Any]:
            with file.open("rb") as source:
                source.seek((number - 1) * PART)
                sent = self._client.upload_part(
                    **upload, PartNumber=number, Body=source.read(PART), **self._how
                )
            found = {"PartNumber": number, "ETag": sent["ETag"]}
            if "ChecksumSHA256" in sent:
                found["ChecksumSHA256"] = sent["ChecksumSHA256"]
            return found

        count = -(-file.stat().st_size // PART)
        try:
            with ThreadPoolExecutor(PARALLEL) as pool:
                parts = list(pool.map(send, range(1, count + 1)))
            self._client.complete_multipart_upload(
                **upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except BaseException:
            self._client.abort_multipart_upload(**upload)
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what AWS refused; never with anything of the identity."""
        try:
            yield
        except ClientError as error:
            raise ArtifactError(f"{self._url}: {said(error)}") from error
        except (ActionFailed, BotoCoreError) as error:
            raise ArtifactError(f"{self._url}: {error}") from error
