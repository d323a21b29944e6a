"""JSON text, read as data that remembers where each part stands.

JSON is nearly YAML: not with tabs, long keys, or half of a surrogate pair in each
`\\u`. Templates are large as well, and this is ten times as fast.
"""

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # not in the stubs
from typing import Any, NoReturn

from prefect_delivery.definition.document import (
    MAX_BYTES,
    MAX_DEPTH,
    Document,
    Node,
    Place,
    problem_at,
)
from prefect_delivery.definition.findings import named
from prefect_delivery.errors import DefinitionError

_BLANK = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}


def read_json(text: str, file: str) -> Document:
    """Read JSON text.

    Raises:
        DefinitionError: Not JSON, ambiguous (a key twice) or beyond a limit.
    """
    return _Reader(text, file).document()


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.text = text.removeprefix("\ufeff")
        self.file = file
        self.lines = self.text.split("\n")
        self.line, self.start = 1, 0

    def document(self) -> Document:
        if len(self.text.encode(errors="replace")) > MAX_BYTES:
            self._stop(0, f"longer than {MAX_BYTES >> 10} KiB")
        root, end = self._value(self._skip(0), 0)
        rest = self._skip(end)
        if isinstance(root.data, str) and self.text.startswith(":", rest):
            self._stop(self._skip(0), "not JSON: the outer '{' is missing")
        if rest < len(self.text):
            self._stop(rest, "not JSON: more text after the value")
        return Document(file=self.file, lines=self.lines, root=root)

    def _value(self, at: int, depth: int) -> tuple[Node, int]:
        if depth > MAX_DEPTH:
            self._stop(at, f"nested deeper than {MAX_DEPTH} levels")
        match self.text[at : at + 1]:
            case "{":
                return self._object(at, depth)
            case "[":
                return self._array(at, depth)
            case '"':
                place = self._place(at)
                text, end = self._string(at)
                return Node(text, Place(place.line, place.column, end - at)), end
            case _:
                return self._word(at)

    def _object(self, at: int, depth: int) -> tuple[Node, int]:
        node = Node({}, self._place(at))
        at = self._skip(at + 1)
        if self.text.startswith("}", at):
            return node, at + 1
        while True:
            if not self.text.startswith('"', at):
                self._stop(at, "not JSON: a key in double quotes must stand here")
            place = self._place(at)
            key, end = self._string(at)
            if key in node.keys:
                line = node.keys[key].line
                self._stop(at, f"key {named(key)} is already set in line {line}")
            node.keys[key] = Place(place.line, place.column, end - at)
            at = self._skip(end)
            if not self.text.startswith(":", at):
                self._stop(at, f"not JSON: a ':' is missing after {named(key)}")
            child, end = self._value(self._skip(at + 1), depth + 1)
            node.children[key], node.data[key] = child, child.data
            at = self._next(end, "}")
            if self.text[at - 1] == "}":
                return node, at
            at = self._skip(at)

    def _array(self, at: int, depth: int) -> tuple[Node, int]:
        node = Node([], self._place(at))
        at = self._skip(at + 1)
        if self.text.startswith("]", at):
            return node, at + 1
        while True:
            child, end = self._value(at, depth + 1)
            node.children[len(node.data)] = child
            node.data.append(child.data)
            at = self._next(end, "]")
            if self.text[at - 1] == "]":
                return node, at
            at = self._skip(at)

    def _next(self, at: int, close: str) -> int:
        """Behind the comma or the closing bracket that must stand here."""
        at = self._skip(at)
        if self.text[at : at + 1] not in {",", close}:
            self._stop(at, f"not JSON: a ',' or '{close}' is missing here")
        return at + 1

    def _string(self, at: int) -> tuple[str, int]:
        try:
            text, end = scanstring(self.text, at + 1, True)
        except json.JSONDecodeError as error:
            self._stop(min(error.pos, len(self.text)), f"not JSON: {error.msg.lower()}")
        if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
            self._stop(at, "text must not hold NUL or half a surrogate pair")
        return str(text), int(end)

    def _word(self, at: int) -> tuple[Node, int]:
        place = self._place(at)
        found = re.compile(r"[\w.+-]*").match(self.text, at)
        word = found[0] if found else ""
        wide = Place(place.line, place.column, max(1, len(word)))
        if word in _WORDS:
            return Node(_WORDS[word], wide), at + len(word)
        number = _NUMBER.fullmatch(word)
        if not number or len(word) > 25:
            shown = named(word) if word else "a value must stand here"
            self._stop(at, f"not JSON: {shown}")
        data: Any = float(word) if number[1] or number[2] else int(word)
        if data in (float("inf"), float("-inf")):
            self._stop(at, f"number {named(word)} is out of range")
        return Node(data, wide), at + len(word)

    def _skip(self, at: int) -> int:
        found = _BLANK.match(self.text, at)
        return found.end() if found else at

    def _place(self, at: int) -> Place:
        # Places are asked for in the order of the text, so that lines are counted once.
        while (end := self.text.find("\n", self.start, at)) >= 0:
            self.line, self.start = self.line + 1, end + 1
        return Place(self.line, at - self.start + 1)

    def _stop(self, at: int, message: str) -> NoReturn:
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        place = Place(line, column)
        raise DefinitionError([problem_at(self.file, self.lines, place, message)])
