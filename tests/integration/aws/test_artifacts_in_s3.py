"""Artifacts that machines share in a bucket, over HTTP, as moto's S3 keeps them."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws import Wire
from processes import Child

from prefect_delivery.artifacts import shared
from prefect_delivery.artifacts.shared import SharedStore
from prefect_delivery.blocks import s3_artifacts
from prefect_delivery.blocks.s3_artifacts import S3Objects
from prefect_delivery.errors import ArtifactError

Machine = Callable[[str], SharedStore]
MIB = 1 << 20


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    # S3 itself takes no parts under 5 MiB.
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", MIB)
    monkeypatch.setattr(s3_artifacts, "PART", MIB)


@pytest.fixture
def machine(bucket: str, tmp_path: Path) -> Machine:
    """The store as machines have it, each with a folder of its own."""
    return lambda name: SharedStore(
        tmp_path / name, S3Objects(f"s3://{bucket}/team/artifacts")
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Small files and a larger one."""
    folder = tmp_path / "tree"
    folder.mkdir()
    for number in range(20):
        (folder / f"small{number}").write_text(f"content {number}")
    (folder / "large").write_bytes(os.urandom(MIB // 2))
    return folder


@pytest.fixture
def heavy(tree: Path) -> Path:
    """A tree that is sent in two parts."""
    (tree / "heavy").write_bytes(os.urandom(3 * MIB // 2))
    return tree


@pytest.fixture
def keys(bucket: str, client: Callable[[str], Any]) -> Callable[[str], list[str]]:
    """Keys in the bucket below a folder of the store."""

    def find(folder: str) -> list[str]:
        found = client("s3").list_objects_v2(
            Bucket=bucket, Prefix=f"team/artifacts/{folder}/"
        )
        return [each["Key"] for each in found.get("Contents", ())]

    return find


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def sent(wire: Wire) -> int:
    """Bytes of all requests."""
    return sum(map(len, wire.bodies))


def test_one_machine_reads_what_another_has_stored(
    machine: Machine, heavy: Path, tmp_path: Path
) -> None:
    digest, size = machine("one").put(heavy)
    two = machine("two")

    two.get(digest, tmp_path / "out")

    assert content(tmp_path / "out") == content(heavy)
    assert two.has(digest)
    assert two.size(digest) == size


def test_another_machine_renews_and_narrows_what_one_has_stored(
    machine: Machine, tree: Path, tmp_path: Path
) -> None:
    digest, _ = machine("one").put(tree)
    other = machine("other")

    other.renew(digest)
    chosen, size = machine("third").choose(digest, ["small1"])

    assert other.entries(digest)
    assert size == len("content 1")
    machine("fourth").get(chosen, tmp_path / "out")
    assert content(tmp_path / "out") == {"small1": b"content 1"}


def test_what_is_stored_again_is_hardly_sent_again(
    machine: Machine, tree: Path, wire: Wire, tmp_path: Path
) -> None:
    machine("one").put(tree)
    first = sent(wire)
    (tree / "new").write_text("new")

    machine("two").put(tree)

    assert sent(wire) - first < first / 20


def test_what_was_read_is_not_fetched_again(
    machine: Machine, tree: Path, wire: Wire, tmp_path: Path
) -> None:
    digest, _ = machine("one").put(tree)
    machine("two").get(digest, tmp_path / "first")
    wire.seen.clear()

    machine("two").get(digest, tmp_path / "second")

    assert wire.seen == []


def test_two_processes_store_the_same_at_once(
    machine: Machine, tree: Path, keys: Callable[[str], list[str]], tmp_path: Path
) -> None:
    children = [
        Child(lambda name=name: machine(name).put(tree))  # type: ignore[misc]
        for name in ("one", "two", "three")
    ]

    assert [child.wait() for child in children] == [0, 0, 0]
    assert len(keys("packs")) == 1
    machine("four").verify(Path(keys("artifacts")[0]).name)


def test_a_kill_at_any_request_leaves_all_or_nothing(
    machine: Machine, heavy: Path, keys: Callable[[str], list[str]]
) -> None:
    seen: set[str] = set()
    for at in range(1, 20):
        (heavy / "heavy").write_bytes(os.urandom(3 * MIB // 2))
        store = machine("writer")
        code = Child(lambda: _put_and_die(store, heavy, at)).wait()  # noqa: B023

        for key in set(keys("artifacts")) - seen:
            machine("reader").verify(Path(key).name)
            seen.add(key)
        if code == 0:
            break
        assert code == -signal.SIGKILL
    # Two parts, what begins and what ends them, and the manifest.
    assert at > 5


def _put_and_die(store: SharedStore, tree: Path, at: int) -> None:
    objects: Any = store._objects
    objects._client = _Deadly(objects._client, at)
    store.put(tree)


class _Deadly:
    """A client whose process dies after one of its requests, before it knows."""

    def __init__(self, client: Any, at: int) -> None:
        self._client, self._at = client, at
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name == "get_paginator":
            return method

        def call(**arguments: Any) -> Any:
            self._count += 1
            dies = self._count == self._at
            answer = method(**arguments)
            if dies:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call


def test_what_got_no_answer_is_stored_once(
    machine: Machine, tree: Path, wire: Wire, keys: Callable[[str], list[str]]
) -> None:
    store = machine("one")
    # The name of a pack follows from what is in it.
    digest, _ = store.put(tree)
    (pack,) = keys("packs")
    store._objects.delete(pack.removeprefix("team/artifacts/"))
    wire.cuts.append(f"PUT /exchange/{pack}")

    machine("two").put(tree)

    assert wire.cuts == []
    assert keys("packs") == [pack]
    machine("three").verify(digest)


def test_damaged_content_is_found_and_stored_anew(
    machine: Machine,
    tree: Path,
    bucket: str,
    client: Callable[[str], Any],
    keys: Callable[[str], list[str]],
    tmp_path: Path,
) -> None:
    digest, _ = machine("one").put(tree)
    (pack,) = keys("packs")
    stored = client("s3").get_object(Bucket=bucket, Key=pack)["Body"].read()
    flipped = bytes([stored[0] ^ 1]) + stored[1:]
    client("s3").put_object(Bucket=bucket, Key=pack, Body=flipped)

    with pytest.raises(ArtifactError, match=r"blob [0-9a-f]{64} is damaged"):
        machine("two").get(digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()

    machine("one").put(tree)
    machine("three").get(digest, tmp_path / "out")
    assert content(tmp_path / "out") == content(tree)


def test_a_damaged_copy_on_this_machine_is_fetched_again(
    machine: Machine, tree: Path, tmp_path: Path
) -> None:
    store = machine("one")
    digest, _ = store.put(tree)
    (pack,) = (tmp_path / "one" / "packs").iterdir()
    pack.chmod(0o600)
    pack.write_bytes(b"x" + pack.read_bytes()[1:])

    store.get(digest, tmp_path / "out")

    assert content(tmp_path / "out") == content(tree)


def test_unneeded_content_goes_once_nobody_can_refer_to_it(
    machine: Machine,
    tree: Path,
    keys: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = machine("one")
    old, _ = store.put(tree)
    (tree / "large").write_bytes(b"other")
    new, _ = store.put(tree)

    store.collect({new}, grace=0)
    assert keys("artifacts") == [f"team/artifacts/artifacts/{new}"]
    assert len(keys("packs")) == 2  # the small files are in the first
    store.collect(set(), grace=0)
    assert len(keys("packs")) == len(keys("doomed")) == 2

    machine("two").put(tree)  # refers to nothing doomed
    monkeypatch.setattr(shared, "SETTLED", -1.0)
    store.collect({new}, grace=0)
    assert len(keys("packs")) == 1
    machine("three").verify(new)
    assert not store.has(old)


def test_what_is_young_is_not_collected(
    machine: Machine, tree: Path, keys: Callable[[str], list[str]]
) -> None:
    digest, _ = machine("one").put(tree)

    machine("two").collect(set(), grace=3600)

    assert keys("doomed") == []
    machine("three").verify(digest)


def test_artifacts_are_encrypted_with_the_key_that_is_named(
    bucket: str,
    tree: Path,
    tmp_path: Path,
    client: Callable[[str], Any],
    keys: Callable[[str], list[str]],
) -> None:
    objects = S3Objects(f"s3://{bucket}/team/artifacts", kms_key="alias/shop")

    SharedStore(tmp_path / "one", objects).put(tree)

    for key in [*keys("packs"), *keys("artifacts")]:
        found = client("s3").head_object(Bucket=bucket, Key=key)
        assert found["ServerSideEncryption"] == "aws:kms"
        assert found["SSEKMSKeyId"] == "alias/shop"


@pytest.mark.parametrize("url", ["s3://", "s3:///prefix", "s3://bucket/a?b=c"])
def test_what_is_no_place_in_s3_is_refused(cloud: None, url: str) -> None:
    with pytest.raises(ArtifactError, match="names no place in S3"):
        S3Objects(url)


def test_a_missing_bucket_is_named(cloud: None, tree: Path, tmp_path: Path) -> None:
    store = SharedStore(tmp_path / "one", S3Objects("s3://nowhere/x"))

    with pytest.raises(ArtifactError, match=r"s3://nowhere/x: .*NoSuchBucket"):
        store.put(tree)
