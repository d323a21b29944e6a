"""What a source of alarms is: settings, and one question."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]


@dataclass(frozen=True)
class Reading:
    """How an alarm stands.

    Attributes:
        said: In a few words, why.
    """

    state: State
    said: str


class AlarmSource(BaseModel, ABC):
    """One alarm of a source. Its fields are what `rule/alarm` takes as `alarm`.

    The class of the source `prometheus` stands in `prefect_delivery.tasks.alarms.prometheus`;
    other packages bring theirs by the entry-point group `prefect_delivery.alarms`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def read(self) -> Reading:
        """How the alarm stands now. A source that gives no answer has no data.

        Raises:
            ActionFailed: What is asked for does not exist, so that asking again would
                not help.
        """
