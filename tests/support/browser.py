"""A real browser, and the pages of Prefect that it opens."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from deployed import until
from playwright.sync_api import Error, Page, Response, ViewportSize, sync_playwright

PATIENCE = 60_000
"""Milliseconds that a page may take on a busy machine."""
SIZE = ViewportSize(width=1200, height=760)
IMAGES = Path(__file__).parents[2] / "docs" / "images"
EMPTY = 8_000
"""Bytes that a picture of a canvas has at most on which nothing is drawn."""
LARGEST = 150_000
"""Bytes of a picture in the docs."""
KNOWN = {
    # The graph of a run still animates a node that it has taken out of its canvas.
    "Cannot read properties of null (reading 'position')",
}
"""What breaks in Prefect's own pages, whatever they show."""


@dataclass
class Browser:
    """A tab of Chromium.

    Attributes:
        keep: Whether pictures are written to the docs.
        problems: What the API has refused, and what broke in the page beside `KNOWN`.
    """

    page: Page
    address: str
    keep: bool
    problems: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.page.on("pageerror", self._broken)
        self.page.on("response", self._heed)

    def _broken(self, error: Error) -> None:
        if error.message not in KNOWN:
            self.problems.append(error.message)

    def _heed(self, response: Response) -> None:
        # Prefect's page asks for icons that Prefect does not have.
        if response.status >= 400 and "/api/" in response.url:
            self.problems.append(f"{response.status} {response.url}")

    def open(self, path: str) -> None:
        """Open a page of Prefect's, by the path in its address."""
        self.page.goto(f"{self.address}/{path}")

    def see(self, *texts: str) -> None:
        """Wait until the page shows all of these texts."""
        for text in texts:
            self.page.get_by_text(text).first.wait_for()

    def see_graph(self) -> None:
        """Wait until the graph of a run is drawn; it is a canvas, and has no text."""
        canvas = self.page.locator("canvas").first
        until(lambda: len(canvas.screenshot()) > EMPTY, "the graph")

    def picture(self, name: str) -> None:
        """What is to be seen now; a picture of the docs when those are asked for."""
        image = self.page.screenshot(animations="disabled")
        assert len(image) < LARGEST, f"{name} is too large for the docs"
        if self.keep:
            IMAGES.mkdir(exist_ok=True)
            (IMAGES / f"{name}.png").write_bytes(image)


def missing() -> str | None:
    """Why there is no browser on this machine; None where there is."""
    return None if which("chromium") else "chromium is not installed"


@contextmanager
def browser(address: str, *, keep: bool = False) -> Iterator[Browser]:
    """A browser that asks nobody but this machine.

    Args:
        address: Of Prefect's pages.
        keep: Whether pictures are written to the docs.
    """
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=which("chromium"), args=[*quiet, "--disable-sync"]
        )
        page = chromium.new_page(viewport=SIZE, color_scheme="light")
        page.set_default_timeout(PATIENCE)
        try:
            yield Browser(page, address, keep)
        finally:
            chromium.close()
