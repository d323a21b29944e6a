"""Ask Prometheus whether a measurement is as it should be."""

import math
import operator as compare
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import httpx
from pydantic import Field

from prefect_delivery.actions import ActionFailed, Outputs, action
from prefect_delivery.tasks.rules.patience import Interval, measured

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


@action("rule/prometheus")
def ask_prometheus(
    server: Url,
    query: str,
    operator: Operator,
    threshold: float,
    *,
    no_data: Literal["fail", "hold"] = "fail",
    timeout: Wait = 30,
    interval: Interval | None = None,
) -> Outputs:
    """Hold when every series of `query` compares to `threshold` as said.

    A series that is NaN holds nothing. Named alarms are asked for by the series that
    Prometheus keeps of them: `count(ALERTS{alertname="X",alertstate="firing"}) or
    vector(0)`, `EQ`, `0`.

    Args:
        server: Address of the Prometheus server. Proxies of the worker are not used.
        query: PromQL expression that gives numbers now.
        operator: How each is compared.
        threshold: What each is compared with.
        no_data: Whether an empty result fails or holds.
        timeout: Seconds to wait for the answer.
        interval: Seconds after which to ask again while it does not hold, until the
            rule's `timeout`; by default it is asked once.

    Raises:
        ActionFailed: A series does not compare so, there is none, or no answer.

    Source: Prometheus HTTP API, "Instant queries".
    """

    def measure() -> str:
        return _judged(_values(server, query, timeout), operator, threshold, no_data)

    return measured(measure, interval)


def _judged(
    values: dict[str, float], operator: str, threshold: float, no_data: str
) -> str:
    if not values and no_data == "fail":
        raise ActionFailed("the query has no data")
    for name, value in values.items():
        if math.isnan(value) or not _COMPARE[operator](value, threshold):
            raise ActionFailed(f"{name} is {value:g}, not {operator} {threshold:g}")
    return (
        ", ".join(f"{name} is {value:g}" for name, value in values.items()) or "no data"
    )


def _values(server: str, query: str, timeout: float) -> dict[str, float]:
    """The present value of each series, by its labels."""
    data = _answer(server, query, timeout)
    match data:
        case {"resultType": "scalar" | "string", "result": [_, value]}:
            return {"the query": _number(value)}
        case {"resultType": "vector", "result": list(series)}:
            return {_name(each): _number(each["value"][1]) for each in series}
        case _:
            raise ActionFailed("the query gives no numbers of now; it needs a function")


def _answer(server: str, query: str, timeout: float) -> Any:
    url = f"{server.rstrip('/')}/api/v1/query"
    try:
        answer = httpx.get(
            url, params={"query": query}, timeout=timeout, trust_env=False
        )
        said = answer.json()
    except httpx.HTTPError as error:
        raise ActionFailed(f"{server}: {error or type(error).__name__}") from error
    except ValueError as error:
        raise ActionFailed(
            f"{server} is no Prometheus server: it answers no JSON"
        ) from error
    match said:
        case {"status": "success", "data": data}:
            return data
        case {"error": error}:
            raise ActionFailed(f"{server}: {error}")
        case _:
            raise ActionFailed(f"{server} is no Prometheus server")


def _name(series: dict[str, Any]) -> str:
    labels = dict(series.get("metric", {}))
    name = str(labels.pop("__name__", ""))
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return (name + (f"{{{inner}}}" if inner else "")) or "the query"


def _number(text: object) -> float:
    try:
        return float(str(text))
    except ValueError as error:
        raise ActionFailed(f"the query gives '{text}', no number") from error
