"""Alarms of a real Prometheus, and of servers that are none."""

import json
from typing import Any

import pytest
from dripping_server import DrippingServer, Manner
from pages import Pages
from polling import until
from prometheus_server import Prometheus
from site_repository import Site

from prefect_delivery.blocks import HttpCheck
from prefect_delivery.engine.state import Status
from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.alarms.prometheus import PrometheusAlarm
from prefect_delivery.tasks.rules.alarm import watch_alarm

NOBODY = "http://127.0.0.1:9"
ERRORS: dict[str, Any] = {"query": "shop_errors", "operator": "GT", "threshold": 2}


def test_a_query_of_prometheus_is_an_alarm(
    pages: Pages, prometheus: Prometheus
) -> None:
    pages.texts["/metrics"] = (
        'shop_latency{path="/"} 0.2\nshop_latency{path="/cart"} 0.9\n'
        "shop_nan NaN\nshop_inf +Inf\n"
    )
    until(lambda: len(prometheus.result("shop_latency")) == 2)

    def read(query: str, operator: Any, threshold: float) -> tuple[str, str]:
        alarm = PrometheusAlarm(
            server=prometheus.url, query=query, operator=operator, threshold=threshold
        )
        found = alarm.read()
        return found.state, found.said

    assert read("max(shop_latency)", "GE", 1) == ("OK", "the query is 0.9, not GE 1")
    assert read("scalar(vector(3))", "EQ", 3) == ("ALARM", "the query is 3, EQ 3")
    assert read("shop_latency", "GT", 0.5)[0] == "ALARM"
    assert read("shop_gone", "GT", 1)[1] == "the query has no data"
    for query in ("shop_gone", "shop_nan", "shop_inf", "shop_nan or shop_latency"):
        assert read(query, "GT", 1)[0] == "INSUFFICIENT_DATA"
    with pytest.raises(ActionFailed, match="parse error"):
        read("sum(", "GT", 1)
    with pytest.raises(ActionFailed, match="gives no numbers"):
        read("shop_latency[5m]", "GT", 1)


def test_an_alert_of_prometheus_is_asked_for_by_its_name(
    pages: Pages, prometheus: Prometheus
) -> None:
    alarm = PrometheusAlarm(server=prometheus.url, alert="TooManyErrors")
    other = PrometheusAlarm(
        server=prometheus.url, alert="TooManyErrors", labels={"job": "blog"}
    )
    until(lambda: alarm.read().state == "OK")

    pages.texts["/metrics"] = "shop_errors 3\n"
    until(lambda: alarm.read().state == "ALARM")

    assert other.read().state == "OK"
    with pytest.raises(ActionFailed, match="has no alert 'TooFewErrors'"):
        PrometheusAlarm(server=prometheus.url, alert="TooFewErrors").read()
    with pytest.raises(ActionFailed, match="ALARM: TooManyErrors is firing, not OK"):
        watch_alarm.fn(
            "prometheus", {"server": prometheus.url, "alert": "TooManyErrors"}
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<html>", "answers no JSON"),
        ('{"status": "ready"}', "is no Prometheus server"),
        ('{"status": "error", "errorType": "internal", "error": "full"}', "full"),
    ],
)
def test_a_server_that_says_nothing_useful_has_no_data(
    pages: Pages, text: str, said: str
) -> None:
    pages.texts["/api/v1/query?query=shop_errors"] = text

    found = PrometheusAlarm(server=pages.url, **ERRORS).read()

    assert found.state == "INSUFFICIENT_DATA"
    assert said in found.said


def test_a_server_that_is_down_has_no_data_and_lets_nothing_in() -> None:
    found = PrometheusAlarm(server=NOBODY, **ERRORS).read()

    assert found.state == "INSUFFICIENT_DATA"
    with pytest.raises(ActionFailed, match=r"INSUFFICIENT_DATA: .*, not OK"):
        watch_alarm.fn("prometheus", {"server": NOBODY, **ERRORS})


MANNERS: list[Manner] = ["silent", "dripping head", "dripping body"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("manner", MANNERS)
def test_a_server_that_never_ends_its_answer_has_no_data(manner: Manner) -> None:
    with DrippingServer(manner) as server:
        found = PrometheusAlarm(server=server.url, timeout=0.5, **ERRORS).read()

    assert found.state == "INSUFFICIENT_DATA"
    assert "no whole answer after 0.5 s" in found.said


@pytest.mark.timeout(60)
@pytest.mark.parametrize("manner", MANNERS)
def test_a_page_that_never_ends_is_wrong(manner: Manner) -> None:
    with DrippingServer(manner) as server:
        check = HttpCheck(url=server.url, timeout=0.5, attempts=1)

        with pytest.raises(ActionFailed, match=r"no whole answer after 0\.5 s"):
            check.run(server.url)


@pytest.mark.timeout(120)
def test_a_stage_does_not_wait_for_an_alarm_that_drips(site: Site) -> None:
    with DrippingServer("dripping head") as server:
        alarm = {"server": server.url, "timeout": 0.5, **ERRORS}
        asked = {"source": "prometheus", "alarm": alarm}
        rules = {"errors": {"uses": "rule/alarm", "with": asked}}

        ended = site.run(f"    before_entry: {json.dumps({'rules': rules})}\n")

    assert ended.status is Status.FAILED
    assert "INSUFFICIENT_DATA" in (ended.reason or "")
    assert not (site.root / "current").exists()
