"""Customers do not notice a rollout behind HAProxy."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from host_shop import SERVICE, Shop

from prefect_delivery.blocks import HostEnvironment, HttpCheck
from prefect_delivery.errors import RolloutFailed
from prefect_delivery.rollout import Canary, CanaryStep

MakeHost = Callable[..., HostEnvironment]
RollOut = Callable[..., object]
STRATEGY = Canary(
    canary=[CanaryStep(percent=10, pause=0.5), CanaryStep(percent=50, pause=0.5)]
)


@pytest.mark.parametrize("keep_alive", [True, False])
def test_no_request_fails_through_an_upgrade(
    shop: Shop,
    proxied: HostEnvironment,
    make_host: MakeHost,
    into: RollOut,
    keep_alive: bool,
) -> None:
    host = make_host(strategy=STRATEGY, service={**SERVICE, "stop_timeout": 30})
    into(host, shop.release("one"))

    with customers(host, keep_alive) as answers:
        into(host, shop.release("two", "slow"))
        into(host, shop.release("three"))

    assert set(answers) == {"one", "two", "three"}


def test_no_request_fails_when_a_release_is_undone(
    shop: Shop, proxied: HostEnvironment, make_host: MakeHost, into: RollOut
) -> None:
    into(make_host(), shop.release("one"))
    never = HttpCheck(url="/", contains="never", attempts=2, interval=0.2)
    host = make_host(strategy="all-at-once", checks=[never])

    with customers(host, keep_alive=True) as answers, pytest.raises(RolloutFailed):
        into(host, shop.release("two"))

    assert set(answers) == {"one", "two"}


@contextmanager
def customers(host: HostEnvironment, keep_alive: bool) -> Iterator[Counter[str]]:
    """Eight customers who ask all the time; counts what they get."""
    answers: Counter[str] = Counter()
    lock, closed = threading.Lock(), threading.Event()

    def shop_until_closed() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", host.port or 0, timeout=9)
        while not closed.wait(0.002):
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                answer = response.read().decode() if response.status == 200 else ""
                answer = answer or f"status {response.status}"
            except (OSError, http.client.HTTPException) as error:
                answer = repr(error)
            with lock:
                answers[answer] += 1
            if not keep_alive:
                connection.close()
        connection.close()

    threads = [threading.Thread(target=shop_until_closed) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        closed.set()
        for thread in threads:
            thread.join()
