"""Read the output variables that a script leaves in a file."""

import os
import re
import stat
from pathlib import Path

from prefect_delivery.errors import ActionFailed

LARGEST = 122_880
"""Bytes of all output variables together (CodePipeline's quota)."""

_LINE = re.compile(r"([A-Za-z0-9@_-]{1,128})=(.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def read_variables(path: Path) -> dict[str, str]:
    """Read lines of `NAME=value`; of two with the same name the later one counts.

    Raises:
        ActionFailed: A line is malformed, or there is too much; says which line.
    """
    variables = {}
    lines = _text(path).removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            name, value = _variable(line, number)
            variables[name] = value
    return variables


def _variable(line: str, number: int) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if not match:
        raise ActionFailed(
            f"line {number} of $DELIVERY_OUTPUT is not NAME=value",
            hint="names have letters, digits, '_', '-' and '@'; values have one line",
        )
    if _CONTROL.search(match[2]):
        raise ActionFailed(
            f"output variable '{match[1]}' holds a control character",
            hint="encode it, for example as base64 or JSON",
        )
    return match[1], match[2]


def _text(path: Path) -> str:
    try:
        return _contents(path).decode()
    except UnicodeDecodeError as error:
        raise ActionFailed("$DELIVERY_OUTPUT is not UTF-8") from error
    except OSError as error:
        raise ActionFailed(
            f"$DELIVERY_OUTPUT cannot be read: {(error.strerror or '').lower()}"
        ) from error


def _contents(path: Path) -> bytes:
    # The script may have put anything in the file's place: a link, a pipe, a device.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ActionFailed("$DELIVERY_OUTPUT is no longer a file")
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ActionFailed(f"output variables take more than {LARGEST:,} bytes")
    return data
