"""Automations that tell people of a deployed pipeline; Prefect carries them out.

They are made once and then belong to whoever edits them in Prefect's UI: deploying again
makes those that are missing, and changes none.
"""

from typing import Final
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from prefect_delivery.definition.events import PREFIX
from prefect_delivery.deployments.definitions import TAG
from prefect_delivery.errors import Refused

READY: Final = {
    "pipeline.failed": "an execution failed",
    "approval.waiting": "an approval waits",
}
"""Events that people are told of, and how the automations are called."""
BODY: Final = """\
{{ event.payload.text }}
started by {{ event.payload.started_by }} ({{ event.payload.trigger }})
{{ event.payload.link }}
{% for command in event.payload.next %}next: {{ command }}
{% endfor %}"""


def keep_automations(client: SyncPrefectClient, pipeline: str, block: str) -> list[str]:
    """Make the automations of a pipeline that are not there.

    Args:
        block: Type and name of a notification block, such as `slack-webhook/team`.

    Returns:
        Names of those that were made.

    Raises:
        Refused: Prefect has no such block.
    """
    owner = owner_of(pipeline)
    related = client.read_resource_related_automations(owner)
    there = {event for each in related for event in _events(each)}
    missing = [event for event in READY if PREFIX + event not in there]
    if not missing:
        return []
    document = block_of(client, block)
    made = []
    for event in missing:
        automation = AutomationCore(
            name=f"{pipeline}: {READY[event]}",
            description="Made by deliver deploy, which leaves it as you edit it.",
            tags=[TAG],
            trigger=EventTrigger(
                expect={PREFIX + event},
                match=ResourceSpecification.model_validate(
                    {PREFIX + "pipeline": pipeline}
                ),
                posture=Posture.Reactive,
                threshold=1,
            ),
            actions=[
                SendNotification(
                    block_document_id=document,
                    subject="{{ event.payload.text }}",
                    body=BODY,
                )
            ],
            owner_resource=owner,
        )
        client.create_automation(automation)
        made.append(automation.name)
    return made


def remove_automations(client: SyncPrefectClient, pipeline: str) -> None:
    """Remove the automations of a pipeline, edited or not."""
    client.delete_resource_owned_automations(owner_of(pipeline))


def owner_of(pipeline: str) -> str:
    """What Prefect notes as the owner of a pipeline's automations."""
    return f"{PREFIX}pipeline.{pipeline}"


def block_of(client: SyncPrefectClient, block: str) -> UUID:
    """Id of a saved block.

    Raises:
        Refused: Prefect has none of that type and name.
    """
    kind, _, name = block.partition("/")
    if not name:
        raise Refused(f"'{block}' is not of the form block-type/block-name")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound as error:
        raise Refused(
            f"Prefect has no block {block}", hint="prefect block ls"
        ) from error


def _events(automation: AutomationCore) -> set[str]:
    trigger = automation.trigger
    return trigger.expect if isinstance(trigger, EventTrigger) else set()
