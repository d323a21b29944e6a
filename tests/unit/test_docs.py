"""What the documentation shows is true: definitions load, links lead somewhere."""

import re
from pathlib import Path

import pytest

from prefect_delivery.definition import load

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
DEFINITIONS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    )
    if block.startswith("pipeline:")
]


@pytest.mark.parametrize("text", DEFINITIONS)
def test_a_definition_that_is_shown_is_right(text: str) -> None:
    assert load(text).stages


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    missing = [target for target in targets if not (page.parent / target).exists()]

    assert missing == []
