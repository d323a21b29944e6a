"""The page on moving from CodePipeline, run as it stands.

After a change of what is printed:
`python tests/integration/docs/test_moving_page.py` writes it anew.
"""

import tempfile
from pathlib import Path

from console import normal, session

PAGE = Path(__file__).parents[3] / "docs/moving-from-codepipeline.md"
UNUSED_PORT = "8192"


def shown_now(folder: Path) -> str:
    """The page with what its commands print now."""
    return session(folder, UNUSED_PORT).page(PAGE.read_text())


def test_the_page_on_moving_shows_what_happens(tmp_path: Path) -> None:
    page = shown_now(tmp_path)

    assert normal(page) == normal(PAGE.read_text())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(shown_now(Path(folder)))
