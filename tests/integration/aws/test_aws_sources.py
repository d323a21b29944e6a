"""Sources that AWS holds: S3 and ECR by moto, git by a server that checks signatures."""

import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_http import GitServer

from prefect_delivery.actions import ActionFailed, Job, Outputs
from prefect_delivery.tasks.source.codecommit import bring_from_codecommit
from prefect_delivery.tasks.source.connection import bring_by_connection
from prefect_delivery.tasks.source.ecr import bring_from_ecr
from prefect_delivery.tasks.source.github import bring_from_github
from prefect_delivery.tasks.source.s3 import bring_from_s3

Clients = Callable[[str], Any]
CONNECTION = "arn:aws:codeconnections:eu-west-1:123456789012:connection/c0ffee"


def files(made: Outputs, folder: Path) -> dict[str, str]:
    made.artifacts["source"].unpack(folder)
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def zipped(members: dict[str, str], *, links: dict[str, str] = {}) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as bundle:
        for name, text in members.items():
            bundle.writestr(name, text)
        for name, target in links.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            bundle.writestr(entry, target)
    return body.getvalue()


@pytest.fixture
def put(bucket: str, client: Clients) -> Callable[[bytes], str]:
    """Puts a version of `shop.zip`; gives its version."""
    s3 = client("s3")
    versioned = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versioned)

    def make(body: bytes) -> str:
        put = s3.put_object(Bucket=bucket, Key="in/shop.zip", Body=body)
        return str(put["VersionId"])

    return make


def test_an_archive_in_s3_is_unpacked(
    put: Callable[[bytes], str], bucket: str, job: Job, tmp_path: Path
) -> None:
    version = put(zipped({"a/b.txt": "hello"}, links={"link": "a/b.txt"}))

    made = bring_from_s3.fn(bucket, "in/shop.zip", job=job)

    found = files(made, tmp_path / "tree")
    assert found == {"a/b.txt": "hello", "link": "hello"}
    assert made.variables["VersionId"] == version
    assert made.variables["BucketName"] == bucket
    assert made.variables["ObjectKey"] == "in/shop.zip"
    assert len(made.variables["ETag"]) == 32


def test_an_execution_is_pinned_to_a_version_or_a_key(
    put: Callable[[bytes], str], bucket: str, client: Clients, tmp_path: Path
) -> None:
    old = put(zipped({"v": "1"}))
    put(zipped({"v": "2"}))
    client("s3").put_object(Bucket=bucket, Key="notes.txt", Body=b"plain")

    made = bring_from_s3.fn(bucket, "in/shop.zip", job=Job(revision=old))
    other = bring_from_s3.fn(
        bucket,
        "in/shop.zip",
        allow_override_for_s3_object_key=True,
        job=Job(revision="key=notes.txt"),
    )

    assert files(made, tmp_path / "old") == {"v": "1"}
    assert files(other, tmp_path / "other") == {"notes.txt": "plain"}
    with pytest.raises(ActionFailed, match="allow_override"):
        bring_from_s3.fn(bucket, "in/shop.zip", job=Job(revision="key=notes.txt"))


@pytest.mark.parametrize(
    ("members", "links", "said"),
    [
        ({"../evil": "x"}, {}, "outside of it"),
        ({"/etc/evil": "x"}, {}, "outside of it"),
        ({"a": "x"}, {"out": "/etc/passwd"}, "out"),
    ],
)
def test_an_archive_writes_nothing_elsewhere(
    put: Callable[[bytes], str],
    bucket: str,
    job: Job,
    members: dict[str, str],
    links: dict[str, str],
    said: str,
) -> None:
    put(zipped(members, links=links))

    with pytest.raises(Exception, match=said):
        bring_from_s3.fn(bucket, "in/shop.zip", job=job)


def test_a_missing_object_is_said(
    put: Callable[[bytes], str], bucket: str, job: Job
) -> None:
    with pytest.raises(ActionFailed, match=f"there is no s3://{bucket}/none"):
        bring_from_s3.fn(bucket, "none", job=job)


def test_an_image_tag_becomes_a_digest(
    cloud: None, client: Clients, job: Job, tmp_path: Path
) -> None:
    ecr = client("ecr")
    ecr.create_repository(repositoryName="shop")
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"digest": "c", "size": 1, "mediaType": "config"},
        "layers": [],
    }
    put = ecr.put_image(
        repositoryName="shop", imageManifest=json.dumps(manifest), imageTag="v1"
    )["image"]
    digest = put["imageId"]["imageDigest"]

    made = bring_from_ecr.fn("shop", image_tag="v1", job=job)

    detail = json.loads(files(made, tmp_path / "tree")["imageDetail.json"])
    address = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop@{digest}"
    assert detail["ImageURI"] == made.variables["ImageURI"] == address
    assert made.variables["ImageTag"] == "v1"
    pinned = bring_from_ecr.fn("shop", job=Job(revision=digest))
    assert pinned.variables["ImageDigest"] == digest
    with pytest.raises(ActionFailed, match="ImageNotFoundException"):
        bring_from_ecr.fn("shop", job=job)


@pytest.fixture
def commit(signed_git: None, git_server: GitServer, tmp_path: Path) -> str:
    """The newest commit of a repository behind the door."""
    folder = tmp_path / "signed"
    folder.mkdir()
    (folder / "a.txt").write_text(str(tmp_path))
    git_server.publish(folder)
    head = git_server.repositories / "signed.git/refs/heads/main"
    return head.read_text().strip()


def test_a_commit_of_codecommit(commit: str, job: Job, tmp_path: Path) -> None:
    made = bring_from_codecommit.fn("shop", "main", job=job)

    assert files(made, tmp_path / "tree") == {"a.txt": str(tmp_path)}
    assert not (tmp_path / "tree/.git").exists()
    assert made.variables["CommitId"] == commit
    assert made.variables["CommitMessage"] == "Publish signed"
    assert made.variables["RepositoryName"] == "shop"
    assert made.variables["BranchName"] == "main"
    assert made.variables.keys() >= {"AuthorDate", "CommitterDate"}


def test_a_commit_by_a_connection_with_its_history(
    commit: str, job: Job, tmp_path: Path
) -> None:
    made = bring_by_connection.fn(
        CONNECTION,
        "acme/shop",
        "main",
        output_artifact_format="CODEBUILD_CLONE_REF",
        job=job,
    )

    files(made, tmp_path / "tree")
    assert (tmp_path / "tree/.git/HEAD").exists()
    assert made.variables["CommitId"] == commit
    assert made.variables["FullRepositoryName"] == "acme/shop"
    assert made.variables["ConnectionArn"] == CONNECTION


def test_what_may_not_be_read_is_said(
    commit: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ActionFailed, match="no branch 'none'"):
        bring_from_codecommit.fn("shop", "none", job=job)
    with pytest.raises(ActionFailed, match="not the name of a repository"):
        bring_from_codecommit.fn("../shop", "main", job=job)
    with pytest.raises(ActionFailed, match="not the ARN of a connection"):
        bring_by_connection.fn("arn:x", "acme/shop", "main", job=job)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ActionFailed):
        bring_from_codecommit.fn("shop", "main", job=job)


def test_a_commit_of_github_by_a_token(
    commit: str,
    git_server: GitServer,
    job: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB", "correct horse battery")
    server = f"http://127.0.0.1:{git_server.port}"

    made = bring_from_github.fn(
        "public", "signed", "main", "env:GITHUB", server=server, job=job
    )

    assert files(made, tmp_path / "tree") == {"a.txt": str(tmp_path)}
    assert made.variables["CommitUrl"].endswith(f"/signed/commit/{commit}")
    with pytest.raises(ActionFailed, match="oauth_token is hidden"):
        bring_from_github.fn("public", "signed", "main", "****", job=job)
