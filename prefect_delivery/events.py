"""What the world outside is told of: events, and what they say."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from prefect_delivery.definition.events import PREFIX
from prefect_delivery.engine.state import Execution


class Payload(BaseModel):
    """What an event says; keys that do not apply are left out."""

    model_config = ConfigDict(frozen=True)

    text: str = Field(description="What happened, in a line.")
    next: list[str] = Field(description="Commands that a person may want now.")
    pipeline: str | None = Field(default=None, description="Name of the pipeline.")
    number: int | None = Field(default=None, description="Of the execution.")
    execution: str | None = Field(default=None, description="Id of the execution.")
    stage: str | None = Field(default=None, description="Name of the stage.")
    action: str | None = Field(
        default=None,
        description="Name of the action; of a rule, `condition:rule`.",
    )
    attempt: int | None = Field(default=None, description="At the action, from 1.")
    environment: str | None = Field(
        default=None, description="Where a rollout goes, or what an approval is for."
    )
    rollout: str | None = Field(default=None, description="Id of the rollout.")
    release: str | None = Field(
        default=None, description="Digest of the release that is rolled out."
    )
    kind: str | None = Field(
        default=None, description="Of a rollout: `forward` or `rollback`."
    )
    reason: str | None = Field(default=None, description="Why, where there is a why.")
    by: str | None = Field(default=None, description="Who did it, if a person did.")
    trigger: str | None = Field(
        default=None, description="What started the execution, such as `push`."
    )
    started_by: str | None = Field(default=None, description="Who started it.")
    revisions: dict[str, str] | None = Field(
        default=None,
        description="Commits and the like by source action, as far as they are known"
        " when the event is sent.",
    )
    definition: str | None = Field(
        default=None, description="Digest of the pipeline's definition."
    )
    link: str | None = Field(
        default=None, description="Page of the flow run, or what an approval links to."
    )


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened.

    Attributes:
        id: The same each time that the event is made.
        name: One of `definition.events.EVENTS`.
        stage: Stage that it is of, if it is of one.
        resource: Id of what it happened to.
        title: How people call that.
        related: Ids of other resources, by role.
        execution: What it is of, as the ledger has it now; None outside of pipelines.
    """

    id: UUID
    name: str
    occurred: datetime
    stage: str | None
    resource: str
    title: str
    payload: Payload
    related: dict[str, str]
    execution: Execution | None = None

    def as_data(self) -> dict[str, Any]:
        """The event as Prefect's API takes it."""
        said = self.payload
        labels = {
            "pipeline": said.pipeline,
            "number": said.number,
            "stage": said.stage,
            "action": said.action,
            "environment": said.environment,
        }
        return {
            "id": str(self.id),
            "event": PREFIX + self.name,
            "occurred": self.occurred.isoformat(),
            "resource": {
                "prefect.resource.id": self.resource,
                "prefect.resource.name": self.title,
                **{
                    PREFIX + name: str(value)
                    for name, value in labels.items()
                    if value is not None
                },
            },
            "related": [
                {"prefect.resource.id": id, "prefect.resource.role": role}
                for role, id in self.related.items()
            ],
            "payload": said.model_dump(exclude_none=True),
        }
