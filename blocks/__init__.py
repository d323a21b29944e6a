"""What a user configures and Prefect keeps: environments, as blocks."""

from prefect_delivery.blocks.environment import (
    Environment,
    Gates,
    Group,
    Hooks,
    HttpCheck,
    find_environment,
)
from prefect_delivery.blocks.host import HostEnvironment, Ready, Service

__all__ = [
    "Environment",
    "Gates",
    "Group",
    "Hooks",
    "HostEnvironment",
    "HttpCheck",
    "Ready",
    "Service",
    "find_environment",
]
