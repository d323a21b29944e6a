"""Ways out: Prefect's events, and the blocks that people have saved: of notifications,
and of places in AWS that take events as CodePipeline tells them.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, cast

import httpx
from anyio.to_thread import run_sync
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.client.orchestration import get_client

from prefect_delivery.errors import ActionFailed, DeliveryError
from prefect_delivery.events import Event
from prefect_delivery.happened import Known
from prefect_delivery.notifications import is_asked_for, message_of
from prefect_delivery.retrying import retrying
from prefect_delivery.state_changes import state_change

if TYPE_CHECKING:
    from prefect_delivery.blocks.state_change_targets import StateChangeTarget

PREFECT: Final = "prefect-events"
"""The destination that is Prefect itself; blocks have a slash in their names."""
_REFUSALS: Final = {400, 413, 415, 422}
"""Answers to the message itself, which would be the same another time."""


class Unsent(DeliveryError):
    """Something could not be sent.

    Attributes:
        refused: Whether it will never be taken, however often it is sent.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class Channel(Protocol):
    """A way to one destination."""

    @property
    def most(self) -> int:
        """Events that are sent at once."""
        ...

    def wants(self, event: Event, known: Known) -> bool:
        """Whether the destination is to be told of an event."""
        ...

    async def send(self, events: Sequence[Event]) -> None:
        """Tell it.

        Raises:
            Exception: It was not told; `unsent` says what that means.
        """
        ...


class PrefectChannel:
    """Events of the Prefect server, or of Prefect Cloud.

    They are posted, since only an answer tells that they have arrived.
    """

    most = 100

    def wants(self, event: Event, known: Known) -> bool:
        return True

    async def send(self, events: Sequence[Event]) -> None:
        data = [event.as_data() for event in events]
        with retrying(0):
            async with get_client() as client:
                # Not among the routes that Prefect's client names.
                await client.request("POST", cast("Any", "/events"), json=data)


@dataclass
class BlockChannel:
    """A saved block: a notification block of any package, or one of our targets in AWS.

    Attributes:
        name: Type and name, such as `slack-webhook/team`.
    """

    name: str
    most: ClassVar[int] = 1
    _block: "NotificationBlock | StateChangeTarget | None" = field(
        default=None, init=False
    )

    def wants(self, event: Event, known: Known) -> bool:
        execution = known.execution
        return execution is not None and is_asked_for(
            event, execution.definition, self.name
        )

    async def send(self, events: Sequence[Event]) -> None:
        if self._block is None:
            self._block = await _load(self.name)
        block = self._block
        if not isinstance(block, NotificationBlock):
            changes = [each for each in map(state_change, events) if each]
            if changes:
                await run_sync(block.publish, changes)
            return
        for event in events:
            subject, body = message_of(event)
            with block.raise_on_failure():
                # Some blocks wait for the answer themselves, others are to be awaited.
                sent = cast("Any", block.notify)(body, subject)
                if inspect.isawaitable(sent):
                    await sent


def channel_to(destination: str) -> Channel:
    """The way to a destination."""
    return PrefectChannel() if destination == PREFECT else BlockChannel(destination)


async def _load(name: str) -> "NotificationBlock | StateChangeTarget":
    import prefect.blocks.notifications  # noqa: F401 - makes its blocks known
    from prefect.blocks.core import Block
    from prefect.plugins import load_prefect_collections

    load_prefect_collections()
    try:
        block = await Block.aload(name)
    except ValueError as error:
        if "Unable to find block document" not in str(error):
            raise
        raise Unsent(f"Prefect has no block {name}") from error
    if isinstance(block, NotificationBlock):
        return block
    # Clients of AWS take seconds to import.
    from prefect_delivery.blocks.state_change_targets import StateChangeTarget

    if not isinstance(block, StateChangeTarget):
        raise Unsent(f"block {name} sends no notifications")
    return block


def unsent(error: Exception) -> Unsent:
    """What it means that something was not sent.

    Never with the words of the error: addresses of webhooks are secrets, and stand in
    them.
    """
    match error:
        case Unsent():
            return error
        case ActionFailed():
            return Unsent(error.message)  # what AWS says, which names no secrets
        case httpx.HTTPStatusError():
            code = error.response.status_code
            return Unsent(f"answers {code}", refused=code in _REFUSALS)
        case TimeoutError() | httpx.TimeoutException():
            return Unsent("does not answer in time")
        case NotificationError():
            return Unsent("the block says that it was not delivered")
        case _:
            return Unsent(f"cannot be reached: {type(error).__name__}")
