"""What the flows do, without a Prefect server."""

from sales import total

from flows import price_check


def test_everything_sold_is_counted() -> None:
    assert total() == 14


def test_everything_sold_has_a_price() -> None:
    price_check.fn()
