"""Writing to a terminal: what may be coloured, what may move, what must be cleaned."""

import json
import os
import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from prefect_delivery.errors import Refused

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Format = Literal["text", "json"]
"""How a reading command answers; JSON has stdout for itself."""

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC: title, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # device control and other strings
    r"|\x1b[ -/]*[0-~]?"
)
# Besides control characters: those that turn the direction of text, which let a line
# read otherwise than it is, and lone surrogates, which cannot be written.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def clean(text: str) -> str:
    """Text from outside, with nothing left in it that a terminal would obey."""
    plain = _SEQUENCE.sub("", text.replace("\r\n", "\n"))
    return _UNSAFE.sub("\ufffd", plain).expandtabs(4)


def one_line(text: str) -> str:
    """Text from outside as a single clean line."""
    return " ".join(clean(text).split())


def may_move() -> bool:
    """Whether output may be redrawn in place: a terminal, and nobody forbade it."""
    quiet = any(os.environ.get(name) for name in ("NO_COLOR", "CI"))
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not quiet


def may_ask() -> bool:
    """Whether there is a person to be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty() and not os.environ.get("CI")


def console(*, stderr: bool = False) -> "Console":
    """A console that reads no markup, and is as wide as its lines where nobody looks.

    Lines that a program reads must not be wrapped to a width it does not have.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream,
        markup=False,
        highlight=False,
        emoji=False,
        no_color=None if may_move() else True,
        force_terminal=None if may_move() else False,
        width=None if stream.isatty() else 500,
    )


def show(*renderables: "RenderableType") -> None:
    """Write to stdout."""
    out = console()
    if out.is_terminal:
        out.print(*renderables, sep="\n")
        return
    with out.capture() as captured:
        out.print(*renderables, sep="\n")
    for line in captured.get().splitlines():
        print(line.rstrip())


def write_json(data: Any) -> None:
    """Write data to stdout as JSON; times as ISO 8601."""
    print(json.dumps(data, indent=2, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def write(text: str) -> None:
    """Write text of ours or cleaned text to stdout, without wrapping it."""
    print(text)


def complain(message: str, hint: str | None = None) -> None:
    """Write an error and what to do next to stderr."""
    print(clean(message), file=sys.stderr)
    if hint:
        print(f"next: {clean(hint)}", file=sys.stderr)


def pairs(words: list[str], option: str) -> dict[str, str]:
    """Read `name=value` words.

    Raises:
        Refused: A word is no pair, or a name is given twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise Refused(
                f"'{word}' is not of the form name=value",
                hint=f"{option} {word or 'name'}=value",
            )
        if name in found:
            raise Refused(f"'{name}' is given twice", hint=f"give {option} {name} once")
        found[name] = value
    return found
