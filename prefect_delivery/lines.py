"""A command's output as lines that are safe to show."""

import codecs
import io
import re
from collections.abc import Callable

MIB = 1024 * 1024
LINE = 64 * 1024
# A masked value that is longer than this may show where a line is cut.
OVERLAP = 16 * 1024

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
_BIDI = [0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_VISIBLE = {code: ascii(chr(code))[1:-1] for code in _CONTROLS + _BIDI if code != 0x09}


def visible(text: str) -> str:
    """Show control and direction characters as escapes; drop colours, keep tabs."""
    # Most lines need no work; the translation is slow.
    return text if text.isprintable() else _COLOUR.sub("", text).translate(_VISIBLE)


class Lines:
    r"""Splits chunks of bytes into lines; holds at most one long line of them.

    Lines end with `\n`, `\r\n` or `\r`. Bytes that are not UTF-8 show as `�`. A line
    longer than 64 KiB is handed on in pieces.

    Args:
        on_line: Takes each line, masked and without control characters.
        mask: Hides secrets in a text.
        limit: Bytes after which a note is handed on, and then nothing more.
    """

    def __init__(
        self,
        on_line: Callable[[str], None],
        *,
        mask: Callable[[str], str] = str,
        limit: int = 64 * MIB,
    ) -> None:
        self._on_line = on_line
        self._mask = mask
        self._limit = limit
        self._size = 0
        self._parts: list[str] = []  # joined late, since a line may come in many
        self._held = 0
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = io.IncrementalNewlineDecoder(utf8, translate=True)

    def feed(self, chunk: bytes) -> None:
        """Take some bytes, and hand on the lines that are complete with them."""
        room = self._limit - self._size
        self._size += len(chunk)
        if room < 0:
            return
        self._split(self._decoder.decode(chunk[:room]))
        if len(chunk) > room:
            self.close()
            self._on_line(f"(output after the first {_amount(self._limit)} not shown)")

    def close(self) -> None:
        """Hand on a last line that has no end."""
        self._split(self._decoder.decode(b"", final=True))
        if self._held:
            self._hand_on(self._taken())

    def _split(self, text: str) -> None:
        *lines, rest = text.split("\n")
        for line in lines:
            self._hand_on(self._taken() + line)
        self._hold(rest)
        if self._held > LINE + OVERLAP:
            self._cut()

    def _cut(self) -> None:
        # Masked before it is cut, and a value that is not complete yet stays whole.
        text = self._mask(_COLOUR.sub("", self._taken()))
        while len(text) > LINE + OVERLAP:
            self._on_line(visible(text[:LINE]))
            text = text[LINE:]
        self._hold(text)

    def _hold(self, text: str) -> None:
        self._parts.append(text)
        self._held += len(text)

    def _taken(self) -> str:
        text = "".join(self._parts)
        self._parts, self._held = [], 0
        return text

    def _hand_on(self, line: str) -> None:
        text = self._mask(_COLOUR.sub("", line))
        for start in range(0, max(1, len(text)), LINE):
            self._on_line(visible(text[start : start + LINE]))


def _amount(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB else f"{size} bytes"
