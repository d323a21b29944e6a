"""Rules that ask real servers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pages import Pages

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.rules.http import ask_page
from prefect_delivery.tasks.rules.patience import measured

NOBODY = "http://127.0.0.1:9"


def test_a_page_with_the_right_answer_holds(pages: Pages) -> None:
    pages.texts["/health"] = "all is well"

    found = ask_page.fn(f"{pages.url}/health", contains="well")

    assert found.again is None
    assert pages.asked == ["/health"]


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        ("/health", {"contains": "sick"}, "does not contain 'sick'"),
        ("/nowhere", {}, "status 404, not 200"),
        ("/health", {"status": 204}, "status 200, not 204"),
    ],
)
def test_a_page_with_a_wrong_answer_fails(
    pages: Pages, path: str, options: dict[str, Any], said: str
) -> None:
    pages.texts["/health"] = "all is well"

    with pytest.raises(ActionFailed, match=said):
        ask_page.fn(pages.url + path, **options)


def test_nobody_who_answers_fails() -> None:
    with pytest.raises(ActionFailed, match="refused"):
        ask_page.fn(NOBODY, timeout=5)


def test_what_may_be_asked_again_says_when() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)

    def refuse() -> str:
        raise ActionFailed("not yet")

    found = measured(refuse, 90, now)

    assert found.again == now + timedelta(seconds=90)
    assert found.summary == "not yet"
