"""How a release gets into an environment, step by step, each of which can be undone."""

from prefect_delivery.rollout.driver import recover, roll_out
from prefect_delivery.rollout.plan import (
    Canary,
    CanaryStep,
    Increment,
    Linear,
    PlannedStep,
    Strategy,
    plan_steps,
)
from prefect_delivery.rollout.repair import Way, repair, replace
from prefect_delivery.rollout.run import title
from prefect_delivery.rollout.shut_down import shut_down
from prefect_delivery.rollout.target import HookTime, Target

__all__ = [
    "Canary",
    "CanaryStep",
    "HookTime",
    "Increment",
    "Linear",
    "PlannedStep",
    "Strategy",
    "Target",
    "Way",
    "plan_steps",
    "recover",
    "repair",
    "replace",
    "roll_out",
    "shut_down",
    "title",
]
