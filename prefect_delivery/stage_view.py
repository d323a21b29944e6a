"""The stages of an execution as Markdown, for Prefect's pages and code hosts."""

import base64
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from prefect_delivery.engine.state import Execution
from prefect_delivery.picture import stage_picture
from prefect_delivery.stages import ActionView, lasted, mark, span, stage_views

_ILLEGAL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)])


def stage_page(execution: Execution, *, now: datetime | None = None) -> str:
    """A page on an execution: how it stands, the picture, and a row for each action.

    The picture is part of the text, as a data URI: Prefect's pages show it without
    loading anything.

    Args:
        now: Time that running durations are counted to; the present by default.
    """
    now = now or datetime.now(UTC)
    svg = stage_picture(execution, now=now).encode()
    image = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    took = span(lasted(execution.started, execution.ended, now) or 0)
    head = f"{mark(execution.status)} {execution.title} · {execution.status} · {took}"
    started = f"{execution.trigger} by {execution.started_by}"
    parts = [
        f"## {_cell(head)}",
        _cell(started),
        f"![stages of {_cell(execution.title)}]({image})",
        stage_table(execution, now=now).rstrip(),
    ]
    if execution.reason:
        parts.insert(2, _cell(execution.reason))
    return "\n\n".join(parts) + "\n"


def stage_table(execution: Execution, *, now: datetime | None = None) -> str:
    """The stages of an execution as a Markdown table, a row for each action."""
    rows = ["| stage | action | status | time | |", "|---|---|---|---|---|"]
    for stage in stage_views(execution, now or datetime.now(UTC)):
        for number, action in enumerate(stage.actions):
            name = f"{mark(stage.status)} {stage.name}" if number == 0 else ""
            rows.append(_row(name, action))
    return "\n".join(rows) + "\n"


def _row(stage: str, action: ActionView) -> str:
    status = f"{mark(action.status)} {action.status or 'not started'}"
    time = "" if action.seconds is None else span(action.seconds)
    cells = [_cell(stage), _cell(action.name), status, time, _note(action)]
    return "| " + " | ".join(cells) + " |"


def _note(action: ActionView) -> str:
    note = _cell(action.note or "")
    if action.link and action.link.startswith(("https://", "http://")):
        address = escape(action.link, {" ": "%20", "|": "%7C", "(": "%28", ")": "%29"})
        return f"[{note or 'more'}]({address})"
    return note


def _cell(text: str) -> str:
    """Text from outside as one Markdown cell: neither markup nor tags nor line ends."""
    shown = escape(" ".join(text.translate(_ILLEGAL | {9: " ", 10: " "}).split()))
    return "".join(f"\\{c}" if c in "\\`*_[]|~#!" else c for c in shown)
