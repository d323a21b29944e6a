"""Releases as objects in a bucket of Amazon S3."""

import json
import mimetypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed
from pydantic import Field

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.archives import pack
from prefect_delivery.blocks.aws_environment import AwsEnvironment, check_fence
from prefect_delivery.blocks.aws_session import code_of
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Release
from prefect_delivery.permissions import Permission

CannedAcl = Literal[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
]
HIDDEN = ".prefect-delivery"
"""Prefix of the objects in which we keep what we know, and what we replace."""
_MISSING = {"404", "NoSuchKey", "NotFound"}
_TRIES = 10
"""How often the note is read again that somebody else changes meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """What the bucket notes of a target, in an object of ours.

    Attributes:
        fence: The newest lease that has changed the target.
        release: Digest of the release that was written last, all of it.
        objects: Entity tags of its objects, by key.
        pending: Digest of the release that goes in; empty when none does.
        before: Keys that it writes, and whether there was an object, which is kept.
    """

    fence: int = 0
    release: str = ""
    objects: dict[str, str] = field(default_factory=dict[str, str])
    pending: str = ""
    before: dict[str, bool] = field(default_factory=dict[str, bool])


class S3BucketEnvironment(AwsEnvironment):
    """Run releases as objects in a bucket.

    The release's files become objects, or one archive does. What they replace is kept
    in the bucket until the release is; after a failure it comes back, and objects that
    the release has added go. Other objects are never touched. Access control lists of
    single objects are not kept.

    Example:
        Save an environment, and load it again:
        ```python
        from prefect_delivery.blocks.s3_bucket import S3BucketEnvironment

        made = S3BucketEnvironment(bucket="shop-site", region="eu-west-1")
        made.save("shop-s3", overwrite=True)
        environment = S3BucketEnvironment.load("shop-s3")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Delivery S3 Bucket Environment"
    _block_type_slug: ClassVar[str | None] = "delivery-s3-bucket-environment"
    _description: ClassVar[str | None] = "Run releases as objects in a bucket of S3."

    bucket: str = Field(description="Name of the bucket, which exists.")
    extract: bool = Field(
        default=True, description="Write each file, not one zip archive of them."
    )
    object_key: str | None = Field(
        default=None, description="Key of the archive, or the folder of the files."
    )
    canned_acl: CannedAcl | None = Field(
        default=None, description="Who may do what with the objects."
    )
    cache_control: str | None = Field(
        default=None, description="How long browsers and proxies may keep the objects."
    )
    kms_key_arn: str | None = Field(
        default=None, description="KMS key by which the objects are encrypted."
    )

    def permissions(self) -> list[Permission]:
        """The objects of the bucket, which are listed, read, written and removed."""
        there = f"arn:aws:s3:::{self.bucket}"
        protect = ("s3:PutObjectAcl",) if self.canned_acl else ()
        key = self.kms_key_arn
        encrypt = ("kms:Decrypt", "kms:GenerateDataKey")
        return [
            Permission(actions=("s3:ListBucket",), resources=(there,)),
            Permission(
                actions=(
                    "s3:AbortMultipartUpload",
                    "s3:DeleteObject",
                    "s3:GetObject",
                    "s3:PutObject",
                    *protect,
                ),
                resources=(f"{there}/*",),
            ),
            *([Permission(actions=encrypt, resources=(key,))] if key else []),
        ]

    @property
    def target(self) -> str:
        """Name of the target in its account and region."""
        return f"{self.bucket}/{self.object_key or ''}".rstrip("/")

    def observe(self) -> str | None:
        """Digest of the release whose objects are all there, unchanged."""
        with self._aws() as aws:
            s3 = aws.client("s3")
            note, _ = self._note(s3)
            found = self._tags(s3)
        same = all(found.get(key) == tag for key, tag in note.objects.items())
        return note.release if note.release and same else None

    def prepare(self, release: Release, fence: int) -> None:
        """Keep a copy of each object that the release replaces.

        Raises:
            ActionFailed: The bucket does not exist, or may not be written to.
            LeaseLost: The bucket has seen a higher fencing token.
        """
        with self._aws() as aws, self._files(release) as files:
            s3 = aws.client("s3")
            note = self._change(s3, fence, lambda note: note)
            # What another one replaced must last until that one is discarded.
            if note.pending:
                return
            there = self._tags(s3)
            before = {key: key in there for key in files}
            for key in (key for key, is_there in before.items() if is_there):
                self._copy(s3, key, self._kept(key))
            self._change(
                s3,
                fence,
                lambda note: replace(note, pending=release.digest, before=before),
            )

    def shift(self, release: Release, percent: float, fence: int) -> None:
        """Write the release's objects.

        Raises:
            ActionFailed: The bucket may not be written to.
            LeaseLost: The bucket has seen a higher fencing token.
        """
        with self._aws() as aws, self._files(release) as files:
            s3 = aws.client("s3")
            self._change(s3, fence, lambda note: note)
            for key, file in files.items():
                self.put(s3, key, file)
            there = self._tags(s3)
            objects = {key: there[key] for key in files if key in there}
            self._change(
                s3,
                fence,
                lambda note: replace(note, release=release.digest, objects=objects),
            )

    def commit(self, release: Release, fence: int) -> None:
        """Make sure that the release is there; forget what it has replaced.

        Raises:
            LeaseLost: The bucket has seen a higher fencing token.
        """
        if self.observe() != release.digest:
            self.shift(release, 100, fence)
        with self._aws() as aws:
            s3 = aws.client("s3")
            note = self._change(s3, fence, lambda note: note)
            if note.pending == release.digest:
                self._forget(s3, fence, note)

    def discard(self, release: Release, fence: int) -> None:
        """Bring back what the release has replaced, and remove what it has added.

        Raises:
            LeaseLost: The bucket has seen a higher fencing token.
        """
        with self._aws() as aws:
            s3 = aws.client("s3")
            note = self._change(s3, fence, lambda note: note)
            if note.pending != release.digest:
                return
            # The previous release has been written again by now, unless there is none.
            again = note.objects if note.release != release.digest else {}
            for key, is_there in note.before.items():
                if key in again:
                    continue
                if is_there:
                    self._copy(s3, self._kept(key), key)
                else:
                    s3.delete_object(Bucket=self.bucket, Key=key)
            self._forget(s3, fence, note, release=release.digest)

    def put(self, s3: Any, key: str, file: Path) -> None:
        """Write a file as an object."""
        kind, encoding = mimetypes.guess_type(key)
        extra = {
            "ContentType": "application/octet-stream" if encoding or not kind else kind,
            "CacheControl": self.cache_control,
            **self._protection,
        }
        given = {name: value for name, value in extra.items() if value}
        s3.upload_file(str(file), self.bucket, key, ExtraArgs=given)

    def files(self, tree: Path, folder: Path) -> dict[str, Path]:
        """What is written for a tree, by key.

        Args:
            folder: Where an archive may be made.

        Raises:
            ActionFailed: An archive has no key.
        """
        if self.extract:
            return {
                self._start + path.relative_to(tree).as_posix(): path
                for path in sorted(tree.rglob("*"))
                if path.is_file()
            }
        if not self.object_key:
            raise ActionFailed("an archive needs a key", hint="give 'object_key'")
        pack(tree, folder / "archive.zip")
        return {self.object_key: folder / "archive.zip"}

    @property
    def _protection(self) -> dict[str, str | None]:
        encrypted = "aws:kms" if self.kms_key_arn else None
        return {
            "ACL": self.canned_acl,
            "ServerSideEncryption": encrypted,
            "SSEKMSKeyId": self.kms_key_arn,
        }

    @property
    def _start(self) -> str:
        """What the keys of a release begin with."""
        if self.extract and self.object_key:
            return f"{self.object_key.strip('/')}/"
        return self.object_key or ""

    @property
    def _place(self) -> str:
        return f"{HIDDEN}/{sha256(self.target.encode()).hexdigest()[:16]}"

    def _kept(self, key: str) -> str:
        return f"{self._place}/before/{key}"

    @contextmanager
    def _files(self, release: Release) -> Iterator[dict[str, Path]]:
        content = release.artifact
        with TemporaryDirectory() as name:
            tree = Path(name) / "release"
            Artifact(digest=content.digest, size=content.size).unpack(tree)
            yield self.files(tree, Path(name))

    def _tags(self, s3: Any) -> dict[str, str]:
        """Entity tags of the objects that there are in the target, by key."""
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self._start
        )
        return {
            each["Key"]: each["ETag"]
            for page in pages
            for each in page.get("Contents", [])
        }

    def _copy(self, s3: Any, key: str, to: str) -> None:
        """Copy an object; a missing one was brought back before."""
        extra = {name: value for name, value in self._protection.items() if value}
        try:
            s3.copy({"Bucket": self.bucket, "Key": key}, self.bucket, to, extra)
        except ClientError as error:
            if code_of(error) not in _MISSING:
                raise

    def _forget(self, s3: Any, fence: int, note: Note, release: str = "") -> None:
        """Note that nothing is pending, then remove the copies."""

        def done(note: Note) -> Note:
            kept = replace(note, pending="", before={})
            gone = note.release == release
            return replace(kept, release="", objects={}) if gone else kept

        self._change(s3, fence, done)
        for key in (key for key, is_there in note.before.items() if is_there):
            s3.delete_object(Bucket=self.bucket, Key=self._kept(key))

    def _note(self, s3: Any) -> tuple[Note, str | None]:
        """The note, and the entity tag of its object."""
        try:
            found = s3.get_object(Bucket=self.bucket, Key=f"{self._place}/note.json")
        except ClientError as error:
            if code_of(error) in _MISSING:
                return Note(), None
            raise
        return Note(**json.loads(found["Body"].read())), found["ETag"]

    def _change(self, s3: Any, fence: int, change: Callable[[Note], Note]) -> Note:
        """Change the note in one step, unless a newer lease has changed it.

        A process that is frozen behind this can still write an object; whoever took over
        sees it at its next step.

        Raises:
            LeaseLost: One has.
        """
        for _ in range(_TRIES):
            note, tag = self._note(s3)
            check_fence(note.fence, fence, self.target)
            wanted = change(replace(note, fence=fence))
            if wanted == note:
                return note
            try:
                s3.put_object(
                    Bucket=self.bucket,
                    Key=f"{self._place}/note.json",
                    Body=json.dumps(asdict(wanted)).encode(),
                    **({"IfMatch": tag} if tag else {"IfNoneMatch": "*"}),
                )
            except ClientError as error:
                # Somebody else was faster, or it was us and the answer got lost.
                if code_of(error) not in {
                    "PreconditionFailed",
                    "ConditionalRequestConflict",
                }:
                    raise
            else:
                return wanted
        raise ActionFailed(f"somebody else keeps changing {self.target}")
