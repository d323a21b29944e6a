"""Which steps bring a release into an environment, as a pure function."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Percent = Annotated[float, Field(gt=0, le=100)]
Pause = Annotated[float, Field(ge=0, le=86_400)]
Verb = Literal["prepare", "before", "verify", "shift", "watch", "after", "commit"]


class CanaryStep(BaseModel):
    """One share of the traffic and how long it is watched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    percent: Percent = Field(description="Share of the traffic, in percent.")
    pause: Pause = Field(default=0, description="Seconds of checks before going on.")


class Canary(BaseModel):
    """Give the release chosen shares of the traffic, one after the other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    canary: list[CanaryStep] = Field(
        min_length=1, max_length=50, description="Rising shares of the traffic."
    )

    @model_validator(mode="after")
    def _rises(self) -> "Canary":
        shares = [step.percent for step in self.canary]
        if shares != sorted(set(shares)):
            raise ValueError("the percents of a canary must rise")
        return self


class Increment(BaseModel):
    """Equal steps of a linear strategy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    percent: Percent = Field(description="What each step adds, in percent.")
    pause: Pause = Field(default=0, description="Seconds of checks after each step.")


class Linear(BaseModel):
    """Give the release ever more of the traffic, in equal steps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    linear: Increment = Field(description="Size and pause of the steps.")


Strategy = Literal["all-at-once", "blue-green"] | Canary | Linear


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One step of a rollout.

    Attributes:
        verb: What is done; `watch` checks again and again for `seconds`.
        percent: Share of the traffic that the release has, or gets by `shift`.
        seconds: How long, for `watch`.
    """

    verb: Verb
    percent: float = 0
    seconds: float = 0

    @property
    def detail(self) -> dict[str, float]:
        """What tells this step from others of its verb, for the journal."""
        match self.verb:
            case "shift":
                return {"percent": self.percent}
            case "watch":
                return {"seconds": self.seconds}
            case _:
                return {}


def plan_steps(
    strategy: Strategy, has_traffic: bool, *, bake: float = 0
) -> list[PlannedStep]:
    """The steps of `strategy`, in order.

    Args:
        has_traffic: Whether the environment can split its traffic. Where it cannot,
            every strategy is a single switch.
        bake: Minutes of checks under full traffic before the commit.
    """
    steps = [PlannedStep(verb="prepare"), PlannedStep(verb="before")]
    if strategy != "all-at-once":
        steps.append(PlannedStep(verb="verify"))
    for percent, pause in _shares(strategy) if has_traffic else []:
        steps += _shifted(percent)
        steps += _watched(percent, pause)
    steps += _shifted(100)
    steps.append(PlannedStep(verb="after", percent=100))
    steps += _watched(100, bake * 60)
    return [*steps, PlannedStep(verb="commit", percent=100)]


def _shifted(percent: float) -> list[PlannedStep]:
    return [
        PlannedStep(verb="shift", percent=percent),
        PlannedStep(verb="verify", percent=percent),
    ]


def _watched(percent: float, seconds: float) -> list[PlannedStep]:
    if not seconds:
        return []
    return [PlannedStep(verb="watch", percent=percent, seconds=seconds)]


def _shares(strategy: Strategy) -> list[tuple[float, float]]:
    """The shares below 100 percent, each with its pause."""
    match strategy:
        case Canary(canary=steps):
            return [(step.percent, step.pause) for step in steps if step.percent < 100]
        case Linear(linear=Increment(percent=share, pause=pause)):
            count = -int(-100 // share)
            return [(number * share, pause) for number in range(1, count)]
        case _:
            return []
