"""Alarms of Prometheus: an alert by its name, or a query with a threshold."""

import json
import math
import operator as compare
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

import httpx
from pydantic import Field, model_validator

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.alarms.source import AlarmSource, Reading
from prefect_delivery.web import fetch

Operator = Literal["EQ", "NE", "LT", "LE", "GT", "GE"]
Url = Annotated[str, Field(pattern=r"^https?://")]
Wait = Annotated[float, Field(gt=0, le=300)]

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "EQ": compare.eq,
    "NE": compare.ne,
    "LT": compare.lt,
    "LE": compare.le,
    "GT": compare.gt,
    "GE": compare.ge,
}


class _NoData(Exception):
    """The server gives no answer, or none that says anything."""


class PrometheusAlarm(AlarmSource):
    """An alarm of Prometheus: give `alert`, or `query` with `operator` and `threshold`.

    Attributes:
        server: Address of the Prometheus server. Proxies of the worker are not used.
        alert: Name of an alerting rule. It is in alarm while it fires; a pending one is
            not. An alert that Prometheus does not know fails the rule.
        labels: Labels of the alerts of that name that count.
        query: PromQL expression that gives numbers now.
        operator: How each series is compared: it is in alarm when it compares so.
        threshold: What each series is compared with.
        timeout: Seconds to wait for the whole answer.
    """

    server: Url = Field(description="Address of the Prometheus server.")
    alert: str | None = Field(default=None, description="Name of an alerting rule.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels of the alerts that count."
    )
    query: str | None = Field(
        default=None, description="PromQL expression that gives numbers now."
    )
    operator: Operator | None = Field(
        default=None, description="A series that compares so is in alarm."
    )
    threshold: float | None = Field(
        default=None, description="What each series is compared with."
    )
    timeout: Wait = Field(default=30, description="Seconds to wait for the answer.")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        compared = {self.query, self.operator, self.threshold}
        if self.alert is not None and compared != {None}:
            raise ValueError("give 'alert', or 'query' with its threshold, not both")
        if self.alert is None and None in compared:
            raise ValueError("give 'alert', or 'query' with 'operator' and 'threshold'")
        return self

    def read(self) -> Reading:
        """How the alarm stands now."""
        try:
            return self._alert() if self.alert else self._compared()
        except _NoData as none:
            return Reading("INSUFFICIENT_DATA", str(none))

    def _alert(self) -> Reading:
        groups = self._answer("rules", {"type": "alert"}).get("groups", [])
        rules = [
            rule
            for group in groups
            for rule in group["rules"]
            if rule["name"] == self.alert
        ]
        if not rules:
            raise ActionFailed(f"{self.server} has no alert '{self.alert}'")
        firing = [
            alert
            for rule in rules
            for alert in rule.get("alerts", [])
            if alert["state"] == "firing"
            and self.labels.items() <= alert["labels"].items()
        ]
        if firing:
            return Reading("ALARM", f"{self.alert} is firing")
        for rule in rules:
            if rule.get("health") != "ok":
                why = rule.get("lastError") or "it was not evaluated yet"
                raise _NoData(f"{self.alert}: {why}")
        return Reading("OK", f"{self.alert} does not fire")

    def _compared(self) -> Reading:
        assert self.operator is not None and self.threshold is not None  # noqa: S101 - checked
        values = dict(_values(self._answer("query", {"query": self.query or ""})))
        numbers = {name: v for name, v in values.items() if math.isfinite(v)}
        limit = f"{self.operator} {self.threshold:g}"
        for name, value in numbers.items():
            if _COMPARE[self.operator](value, self.threshold):
                return Reading("ALARM", f"{name} is {value:g}, {limit}")
        if not numbers or len(numbers) < len(values):
            odd = [name for name in values if name not in numbers]
            said = f"{odd[0]} is {values[odd[0]]:g}" if odd else "the query has no data"
            return Reading("INSUFFICIENT_DATA", said)
        told = ", ".join(f"{name} is {value:g}" for name, value in numbers.items())
        return Reading("OK", f"{told}, not {limit}")

    def _answer(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        """What the server says.

        Raises:
            ActionFailed: It says that the question is wrong.
            _NoData: It says nothing that can be used.
        """
        url = f"{self.server.rstrip('/')}/api/v1/{path}"
        try:
            answer = fetch(url, parameters=parameters, timeout=self.timeout)
            said = json.loads(answer.body)
        except httpx.HTTPError as error:
            raise _NoData(f"{self.server}: {error or type(error).__name__}") from error
        except ValueError as error:
            raise _NoData(f"{self.server} answers no JSON") from error
        match said:
            case {"status": "success", "data": dict(data)}:
                return data
            case {"errorType": "bad_data", "error": error}:
                raise ActionFailed(f"{self.server}: {error}")
            case {"error": error}:
                raise _NoData(f"{self.server}: {error}")
            case _:
                raise _NoData(f"{self.server} is no Prometheus server")


def _values(data: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The present value of each series, by its labels."""
    match data:
        case {"resultType": "scalar", "result": [_, value]}:
            yield "the query", float(value)
        case {"resultType": "vector", "result": list(series)}:
            for each in series:
                yield _name(each), float(each["value"][1])
        case _:
            raise ActionFailed("the query gives no numbers of now; it needs a function")


def _name(series: dict[str, Any]) -> str:
    labels = dict(series.get("metric", {}))
    name = str(labels.pop("__name__", ""))
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return (name + (f"{{{inner}}}" if inner else "")) or "the query"
