"""The stages of an execution as a picture, for pages that run no code of ours."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.plan import waves
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.stages import ActionView, StageView, mark, span, stage_views

_COLOURS: dict[Status, str] = {
    Status.IN_PROGRESS: "#1d63c9",
    Status.STOPPING: "#1d63c9",
    Status.WAITING: "#9a6700",
    Status.SUCCEEDED: "#1a7f37",
    Status.FAILED: "#cf222e",
}
_GREY = "#6e7781"
_CHARACTER = 7.3  # width of a character in the 12 px monospaced fonts browsers have
_LINE = 20
_HEAD = 30
_GAP_X, _GAP_Y, _MARGIN = 36, 18, 12
_LONGEST = 40
_ILLEGAL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)])


@dataclass(frozen=True)
class _Box:
    stage: StageView
    x: float
    y: float
    width: float
    height: float


def stage_picture(shown: Execution | Pipeline, *, now: datetime | None = None) -> str:
    """Draw the stages of an execution, or of a definition, as an SVG document.

    It needs neither scripts nor fonts nor links, and says by marks what it says by
    colours.

    Args:
        now: Time that the durations of running actions are counted to; the present by
            default.
    """
    definition = shown if isinstance(shown, Pipeline) else shown.definition
    boxes = _place(definition, stage_views(shown, now or datetime.now(UTC)))
    width = max(box.x + box.width for box in boxes.values()) + _MARGIN
    height = max(box.y + box.height for box in boxes.values()) + _MARGIN
    title = shown.pipeline if isinstance(shown, Pipeline) else shown.title
    parts = [
        _opening(width, height),
        f"<title>{_text(title)}</title>",
        *_arrows(boxes),
        *(line for box in boxes.values() for line in _draw(box)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _opening(width: float, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12">'
    )


def _place(definition: Pipeline, stages: list[StageView]) -> dict[str, _Box]:
    """Put each stage one column right of the last stage it needs."""
    boxes: dict[str, _Box] = {}
    x: float = _MARGIN
    for column in _columns(definition, stages):
        width = max(_width(stage) for stage in column)
        y: float = _MARGIN
        for stage in column:
            height = _HEAD + _LINE * len(_rows(stage)) + 6
            boxes[stage.name] = _Box(stage, x, y, width, height)
            y += height + _GAP_Y
        x += width + _GAP_X
    return boxes


def _columns(definition: Pipeline, stages: list[StageView]) -> list[list[StageView]]:
    shown = {stage.name: stage for stage in stages}
    columns = [
        [shown[name] for name, _ in wave if name in shown] for wave in waves(definition)
    ]
    return [column for column in columns if column]


def _width(stage: StageView) -> float:
    head = f"{mark(stage.status)} {_short(stage.name)}{_time(stage.seconds)}"
    longest = max([head, *(text for text, _ in _rows(stage))], key=len)
    return _CHARACTER * len(longest) + 24


def _rows(stage: StageView) -> list[tuple[str, ActionView | None]]:
    """A line for each action; an arrow where the next run-order group starts."""
    rows: list[tuple[str, ActionView | None]] = []
    for group in stage.groups:
        if rows:
            rows.append(("↓", None))
        for action in group:
            name = f"{mark(action.status)} {_short(action.name)}"
            rows.append((name + _time(action.seconds), action))
    return rows


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"  {span(seconds)}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _draw(box: _Box) -> Iterator[str]:
    stage, colour = box.stage, _colour(box.stage.status)
    yield (
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" '
        f'height="{box.height:.0f}" rx="6" fill="#ffffff" stroke="{colour}" '
        f'stroke-width="1.5"/>'
    )
    head = f"{mark(stage.status)} {_short(stage.name)}{_time(stage.seconds)}"
    yield _line(box.x + 12, box.y + 20, head, colour, bold=True)
    for number, (text, action) in enumerate(_rows(stage)):
        y = box.y + _HEAD + _LINE * number + 14
        shade = _colour(action.status) if action else _GREY
        yield _line(box.x + 12, y, text, shade, hint=_hint(action))


def _line(
    x: float, y: float, text: str, colour: str, *, bold: bool = False, hint: str = ""
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    title = f"<title>{_text(hint)}</title>" if hint else ""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}"{weight} '
        f'xml:space="preserve">{title}{_text(text)}</text>'
    )


def _hint(action: ActionView | None) -> str:
    if action is None:
        return ""
    state = action.status or "not started"
    return f"{action.uses}: {state}" + (f", {action.note}" if action.note else "")


def _arrows(boxes: dict[str, _Box]) -> Iterator[str]:
    for box in boxes.values():
        for need in box.stage.needs:
            if need in boxes:
                yield _arrow(boxes[need], box)


def _arrow(start: _Box, end: _Box) -> str:
    x1, y1 = start.x + start.width, start.y + _HEAD / 2
    x2, y2 = end.x, end.y + _HEAD / 2
    bend = x2 - _GAP_X / 2
    return (
        f'<path d="M{x1:.0f} {y1:.0f} H{bend:.0f} V{y2:.0f} H{x2 - 6:.0f}" '
        f'fill="none" stroke="{_GREY}" stroke-width="1.5"/>'
        f'<path d="M{x2 - 6:.0f} {y2 - 4:.0f} l6 4 l-6 4 z" fill="{_GREY}"/>'
    )


def _colour(status: Status | None) -> str:
    return _COLOURS.get(status, _GREY) if status else _GREY


def _text(text: str) -> str:
    return escape(text.translate(_ILLEGAL))
