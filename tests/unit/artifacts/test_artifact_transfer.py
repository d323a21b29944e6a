"""Artifacts go from one store to another, and only as what they are."""

import io
from hashlib import sha256
from pathlib import Path

import pytest

from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.artifacts.manifest import CHUNK
from prefect_delivery.errors import ArtifactError


@pytest.fixture
def sent(tmp_path: Path) -> tuple[str, bytes]:
    """An artifact of all kinds of entries, and its bytes on the way."""
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "large").write_bytes(b"x" * CHUNK + b"y")
    (tree / "sub/same").write_bytes(b"x" * CHUNK)
    (tree / "empty").touch()
    (tree / "link").symlink_to("large")
    store = ArtifactStore(tmp_path / "here")
    digest, _ = store.put(tree)
    return digest, b"".join(store.send(digest))


def test_an_artifact_arrives_whole(sent: tuple[str, bytes], tmp_path: Path) -> None:
    digest, data = sent
    there = ArtifactStore(tmp_path / "there")

    assert there.receive(digest, io.BytesIO(data).read) == 2 * CHUNK + 1

    there.get(digest, tmp_path / "out")
    assert (tmp_path / "out/link").read_bytes() == b"x" * CHUNK + b"y"
    assert there.put(tmp_path / "out")[0] == digest
    assert len(data) < CHUNK + 2000, "equal content travels once"


@pytest.mark.parametrize("cut", [0, 4, 30, -1])
def test_an_artifact_that_is_cut_off_is_not_kept(
    sent: tuple[str, bytes], tmp_path: Path, cut: int
) -> None:
    digest, data = sent
    there = ArtifactStore(tmp_path / "there")

    with pytest.raises(ArtifactError, match="ends too early"):
        there.receive(digest, io.BytesIO(data[:cut]).read)

    assert not there.has(digest)


def test_an_artifact_with_another_byte_is_not_kept(
    sent: tuple[str, bytes], tmp_path: Path
) -> None:
    digest, data = sent
    there = ArtifactStore(tmp_path / "there")

    with pytest.raises(ArtifactError, match="is damaged"):
        there.receive(digest, io.BytesIO(data[:-1] + b"z").read)

    assert not there.has(digest)


def test_an_artifact_under_another_name_is_not_kept(
    sent: tuple[str, bytes], tmp_path: Path
) -> None:
    other = sha256(b"other").hexdigest()
    there = ArtifactStore(tmp_path / "there")

    with pytest.raises(ArtifactError, match="is not the artifact"):
        there.receive(other, io.BytesIO(sent[1]).read)

    assert not there.has(other)


@pytest.mark.parametrize(
    "line", [f"f 644 9 {'0' * 64},{'0' * 64} a", "f 644 1 - a", "l ../../etc a"]
)
def test_an_artifact_that_lies_or_is_unsafe_is_not_kept(
    tmp_path: Path, line: str
) -> None:
    manifest = f"prefect-delivery artifact 1\n{line}\n".encode()
    digest = sha256(manifest).hexdigest()
    there = ArtifactStore(tmp_path / "there")
    data = len(manifest).to_bytes(8, "big") + manifest + b"x" * 100

    with pytest.raises(ArtifactError):
        there.receive(digest, io.BytesIO(data).read)

    assert not there.has(digest)


def test_a_manifest_of_any_length_is_not_read(tmp_path: Path) -> None:
    asked: list[int] = []

    def read(length: int) -> bytes:
        asked.append(length)
        return b"\xff" * 8

    with pytest.raises(ArtifactError, match="too long"):
        ArtifactStore(tmp_path / "there").receive("0" * 64, read)

    assert asked == [8]
