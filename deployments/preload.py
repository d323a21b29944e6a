"""Import what the first run of a pipeline needs."""

from prefect_delivery.registry import derive

derive()
