"""Pipeline definitions: what they say, how they are read, what is wrong with them."""

from prefect_delivery.definition.loader import load, load_file
from prefect_delivery.definition.models import Pipeline

__all__ = ["Pipeline", "load", "load_file"]
