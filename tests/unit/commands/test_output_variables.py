import os
from pathlib import Path

import pytest

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.variables import LARGEST, read_variables


def read(folder: Path, text: str) -> dict[str, str]:
    (folder / "output").write_text(text)
    return read_variables(folder / "output")


def test_lines_become_variables_and_the_later_one_counts(tmp_path: Path) -> None:
    assert read(tmp_path, "A=1\n\nurl=http://x/?a=b\nA=2\nempty=") == {
        "A": "2",
        "url": "http://x/?a=b",
        "empty": "",
    }


def test_no_lines_are_no_variables(tmp_path: Path) -> None:
    assert read(tmp_path, "") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\nno sign", "line 2 of .* is not NAME=value"),
        ("$(id)=1", "line 1"),
        ("=1", "line 1"),
        (f"{'a' * 129}=1", "line 1"),
        ("A=a\x1b[31m", "'A' holds a control character"),
        (f"A={'x' * LARGEST}", "more than 122,880 bytes"),
    ],
)
def test_malformed_variables_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ActionFailed, match=message):
        read(tmp_path, text)


def test_the_quota_itself_is_allowed(tmp_path: Path) -> None:
    assert len(read(tmp_path, "A=" + "x" * (LARGEST - 2))["A"]) == LARGEST - 2


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "output").write_bytes(b"A=\xff")

    with pytest.raises(ActionFailed, match="not UTF-8"):
        read_variables(tmp_path / "output")


def test_a_link_a_pipe_and_a_folder_in_its_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()

    for name in ("link", "pipe", "folder", "missing"):
        with pytest.raises(ActionFailed, match="DELIVERY_OUTPUT"):
            read_variables(tmp_path / name)
