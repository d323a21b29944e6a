"""The tutorial, run as it stands.

After a change of what is printed: `python tests/integration/docs/test_tutorial.py`
writes it anew.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from console import normal, session

from prefect_delivery.blocks import HostEnvironment

PAGE = Path(__file__).parents[3] / "docs/tutorial.md"
PORT = "8190"


def shown_now(folder: Path) -> str:
    """The page with what its commands print now."""
    try:
        return session(folder, PORT).page(PAGE.read_text())
    finally:
        HostEnvironment(root=folder / "shop/.delivery/site").shut_down()


def test_the_tutorial_shows_what_happens(tmp_path: Path) -> None:
    page = shown_now(tmp_path)

    now, before = _lines(page), _lines(PAGE.read_text())
    assert not now - before, page
    assert not before - now, page


def _lines(page: str) -> "Counter[str]":
    """A page's lines: actions that run side by side may end in any order."""
    return Counter(normal(page).splitlines())


if __name__ == "__main__":
    sys.path.insert(0, str(PAGE.parents[1] / "tests/support"))
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(shown_now(Path(folder)))
