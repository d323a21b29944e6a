"""Artifacts at the border to AWS, where they are zip archives in an S3 bucket."""

import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import ActionFailed, Artifact, Job
from prefect_delivery.blocks.archives import pack
from prefect_delivery.blocks.aws_session import AwsSession, code_of

PREFIX: Final = "prefect-delivery"
BUNDLED: Final = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject")
"""What IAM must allow for it in the bucket."""
LARGEST: Final = 7 * 1024**3
"""Bytes that an archive may unpack to: CodePipeline's limit for sources from S3."""


@dataclass(frozen=True)
class Bundles:
    """Hands artifacts to AWS services and takes theirs.

    Attributes:
        bucket: Bucket that both sides can reach.
    """

    aws: AwsSession
    bucket: str
    job: Job

    @classmethod
    def of(cls, aws: AwsSession, bucket: str | None, job: Job) -> "Bundles":
        """Those in `bucket`, or in the bucket of the settings for the session's region.

        Raises:
            ActionFailed: Neither is named.
        """
        return cls(aws, aws.bucket(bucket), job)

    def put(self, artifact: Artifact) -> str:
        """Upload an artifact, unless it is there; its key, which names its digest."""
        client = self.aws.client("s3")
        key = f"{PREFIX}/sources/{artifact.digest}.zip"
        if not self._has(client, key):
            with self.job.workspace() as folder:
                artifact.unpack(folder / "tree")
                pack(folder / "tree", folder / "bundle.zip")
                client.upload_file(str(folder / "bundle.zip"), self.bucket, key)
        return key

    def get(self, key: str, patterns: list[str] | None = None) -> Artifact:
        """Take an archive, or the files of it that match `patterns`.

        Raises:
            ActionFailed: It is no zip archive, or an unsafe one.
        """
        with self.job.workspace() as folder:
            bring(self.aws.client("s3"), self.bucket, key, folder / "bundle.zip")
            unpack(folder / "bundle.zip", folder / "tree")
            return Artifact.of(folder / "tree", patterns)

    def _has(self, client: Any, key: str) -> bool:
        try:
            client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if code_of(error) in {"404", "NoSuchKey", "NotFound"}:
                return False
            raise
        return True


def bring(
    client: Any, bucket: str, key: str, file: Path, version: str | None = None
) -> None:
    """Download an object, or a version of it.

    Raises:
        ActionFailed: There is no such object.
    """
    extra = {"VersionId": version} if version else {}
    try:
        client.download_file(bucket, key, str(file), ExtraArgs=extra)
    except ClientError as error:
        if code_of(error) in {"404", "NoSuchKey", "NotFound", "NoSuchVersion"}:
            raise ActionFailed(f"there is no object s3://{bucket}/{key}") from error
        raise


def unpack(archive: Path, folder: Path) -> None:
    """Write what a zip archive holds into `folder`, and never outside of it.

    Links are made last, so that nothing is written through one; where they lead is
    checked when the tree is stored.

    Raises:
        ActionFailed: It is no zip archive, is too large, or names a place outside.
    """
    folder.mkdir()
    links: list[tuple[Path, str]] = []
    try:
        with zipfile.ZipFile(archive) as bundle:
            if sum(entry.file_size for entry in bundle.infolist()) > LARGEST:
                raise ActionFailed("the archive holds more than 7 GB")
            for entry in bundle.infolist():
                path = folder / _inside(entry.filename)
                mode = entry.external_attr >> 16
                if stat.S_ISLNK(mode):
                    links.append((path, bundle.read(entry).decode()))
                elif entry.is_dir():
                    path.mkdir(parents=True, exist_ok=True)
                else:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with bundle.open(entry) as source, path.open("xb") as target:
                        shutil.copyfileobj(source, target)
                    path.chmod(0o755 if mode & 0o100 else 0o644)
        for path, leads_to in links:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(leads_to)
    except (zipfile.BadZipFile, OSError, UnicodeDecodeError) as error:
        raise ActionFailed(f"the zip archive cannot be unpacked: {error}") from error


def _inside(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ActionFailed(f"the archive names a place outside of it: {name!r}")
    return str(path)
