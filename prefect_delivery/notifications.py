"""What a notification says of an event: short, with what to do next, and harmless."""

import re
from typing import Final

from prefect_delivery.definition.events import asks_for, notifications_of
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.events import Event

SUBJECT: Final = 200
"""Characters."""
_CALLS: Final = re.compile(r"@(?=everyone|here|channel|all\b)", re.IGNORECASE)


def is_asked_for(event: Event, definition: Pipeline, block: str) -> bool:
    """Whether a definition wants a block to be told of an event."""
    return any(
        notification.to == block and asks_for(notification, event.name)
        for notification in notifications_of(definition, event.stage)
    )


def message_of(event: Event) -> tuple[str, str]:
    """Subject and body of a notification.

    The last line names the event, which tells a second copy of it from another event.
    """
    said = event.payload
    words, *more = said.text.splitlines() or [event.name]
    lines = [words, *more]
    for source, revision in (said.revisions or {}).items():
        lines.append(f"revision: {source} {revision[:12]}")
    if said.environment and said.environment not in words:
        lines.append(f"environment: {said.environment}")
    if said.started_by:
        lines.append(f"started by: {said.started_by} ({said.trigger})")
    if said.link:
        lines.append(f"see: {said.link}")
    lines += [f"next: {command}" for command in said.next]
    lines.append(f"event: {event.id}")
    return harmless(words)[:SUBJECT], "\n".join(map(harmless, lines))


def harmless(text: str) -> str:
    """A line that calls nobody, links nowhere, and moves no cursor, wherever it is shown.

    Error messages and comments come from anybody. Slack reads `<!channel>`, others
    `@everyone`, HTML and Markdown links.
    """
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )
    shown = shown.replace("<", "‹").replace(">", "›").replace("](", "] (")  # noqa: RUF001
    return _CALLS.sub("@\u200b", shown)
