"""The flows that are delivered."""

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from sales import PRICES, SOLD, total


@flow
def sales_report(currency: str = "EUR") -> None:
    """Show what was sold, as an artifact."""
    create_markdown_artifact(f"Sold for {total()} {currency}", key="sales-report")


@flow
def price_check() -> None:
    """Fail when something was sold that has no price."""
    if missing := SOLD.keys() - PRICES.keys():
        raise ValueError(f"no price for {', '.join(sorted(missing))}")
