"""The page on history, run as it stands.

After a change of what is printed:
`python tests/integration/docs/test_history_page.py` writes it anew.
"""

import re
import tempfile
from pathlib import Path

from console import normal, session

PAGE = Path(__file__).parents[3] / "docs/history.md"
UNUSED_PORT = "8191"


def shown_now(folder: Path) -> str:
    """The page with what its commands print now."""
    return session(folder, UNUSED_PORT).page(PAGE.read_text())


def test_the_page_on_history_shows_what_happens(tmp_path: Path) -> None:
    page = shown_now(tmp_path)

    assert _normal(page) == _normal(PAGE.read_text())


def _normal(page: str) -> list[str]:
    """A page's lines without differences of time and counts of the log's entries."""
    plain = re.sub(r" \([+-]TIME\)|, TIME of it waiting", "", normal(page))
    plain = re.sub(r"^ ?\d+ DATE", "N DATE", plain, flags=re.MULTILINE)
    return re.sub(r"\b\d+ entries", "N entries", plain).splitlines()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(shown_now(Path(folder)))
