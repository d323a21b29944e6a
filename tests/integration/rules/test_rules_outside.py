"""Rules that ask real servers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pages import Pages
from polling import until
from prometheus_server import Prometheus

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.rules.http import ask_page
from prefect_delivery.tasks.rules.patience import measured
from prefect_delivery.tasks.rules.prometheus import ask_prometheus

NOBODY = "http://127.0.0.1:9"
FIRING = 'count(ALERTS{alertname="TooManyErrors",alertstate="firing"}) or vector(0)'


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


@pytest.mark.parametrize("ask", [ask_page.fn, None], ids=["http", "prometheus"])
def test_nobody_who_answers_fails(ask: Any) -> None:
    with pytest.raises(ActionFailed, match="refused"):
        if ask:
            ask(NOBODY, timeout=5)
        else:
            ask_prometheus.fn(NOBODY, "up", "EQ", 1)


def test_what_may_be_asked_again_says_when() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)

    def refuse() -> str:
        raise ActionFailed("not yet")

    found = measured(refuse, 90, now)

    assert found.again == now + timedelta(seconds=90)
    assert found.summary == "not yet"


def test_prometheus_compares_every_series(pages: Pages, prometheus: Prometheus) -> None:
    pages.texts["/metrics"] = (
        'shop_latency{path="/"} 0.2\nshop_latency{path="/cart"} 0.9\nshop_nan NaN\n'
    )
    until(lambda: len(prometheus.result("shop_latency")) == 2)

    def ask(query: str, operator: Any, threshold: float, **more: Any) -> str | None:
        answer = ask_prometheus.fn(prometheus.url, query, operator, threshold, **more)
        return answer.summary

    assert ask("max(shop_latency)", "LT", 1) == "the query is 0.9"
    assert ask("vector(3)", "GE", 3) == "the query is 3"
    assert ask("scalar(vector(3))", "EQ", 3) == "the query is 3"
    assert ask("shop_gone", "LT", 1, no_data="hold") == "no data"
    for query, operator, threshold, said in [
        ("shop_latency", "LT", 0.5, r'path="/cart".* is 0.9, not LT 0.5'),
        ("shop_gone", "LT", 1, "no data"),
        ("shop_nan", "NE", 1, "is nan, not NE 1"),
        ("shop_nan", "LT", 1, "is nan, not LT 1"),
        ("shop_latency[5m]", "LT", 1, "gives no numbers"),
        ("sum(", "LT", 1, "parse error"),
    ]:
        with pytest.raises(ActionFailed, match=said):
            ask(query, operator, threshold)


def test_a_named_alarm_of_prometheus_can_be_asked_for(
    pages: Pages, prometheus: Prometheus
) -> None:
    quiet = ask_prometheus.fn(prometheus.url, FIRING, "EQ", 0)
    pages.texts["/metrics"] = "shop_errors 3\n"
    until(lambda: prometheus.result(FIRING)[0]["value"][1] == "1")

    assert quiet.summary == "the query is 0"
    with pytest.raises(ActionFailed, match="the query is 1, not EQ 0"):
        ask_prometheus.fn(prometheus.url, FIRING, "EQ", 0)


def test_a_server_that_is_no_prometheus_is_named(pages: Pages) -> None:
    pages.texts["/api/v1/query?query=up"] = "<html>"

    with pytest.raises(ActionFailed, match="is no Prometheus server"):
        ask_prometheus.fn(pages.url, "up", "EQ", 1)
