"""Reads the text of a definition: YAML 1.2 events to a `Document`."""

import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from prefect_delivery.definition.document import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_WEIGHT,
    Document,
    Node,
    Place,
    problem_at,
)
from prefect_delivery.definition.findings import named
from prefect_delivery.errors import DefinitionError, Problem

_TAGS = "tag:yaml.org,2002:"
_RESOLVED_TAGS = {_TAGS + name for name in ("int", "float", "bool", "null")}
_PLAIN_TAGS = {None, "!", _TAGS + "str", _TAGS + "map", _TAGS + "seq"}
_WORDS = {"": None, "~": None} | {
    spelling: meaning
    for word, meaning in (("null", None), ("true", True), ("false", False))
    for spelling in (word, word.capitalize(), word.upper())
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read(text: str, file: str) -> Document:
    """Read the text of a definition.

    Args:
        file: Name of the file, for messages.

    Raises:
        DefinitionError: Not YAML, ambiguous (a duplicate key) or beyond a limit.

    Source: YAML 1.2.2, chapter 10.3 (core schema).
    """
    return Reader(text, file).document()


class Reader:
    """Reads one text; subclasses say otherwise which tags and keys there may be."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._text = text.removeprefix("\ufeff")
        self._lines = self._text.splitlines()
        self._problems: list[Problem] = []
        self._anchors: dict[str, Node] = {}
        self._events: Iterator[Event] = iter(())

    def document(self) -> Document:
        if len(self._text.encode(errors="replace")) > MAX_BYTES:
            self._stop(Place(1, 1), f"longer than {MAX_BYTES >> 10} KiB")
        self._events = self._parsed()
        root = self._root()
        if self._problems:
            raise DefinitionError(self._problems)
        return Document(file=self._file, lines=self._lines, root=root)

    def _parsed(self) -> Iterator[Event]:
        try:
            yield from YAML(typ="safe", pure=True).parse(self._text)
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
            reason = getattr(error, "problem", None) or _first_line(error)
            self._stop(place, f"not YAML: {reason}")
        except (ArithmeticError, AssertionError, LookupError, ValueError) as error:
            # The parser lets these through for some malformed text ("\UFFFFFFFF").
            self._stop(Place(1, 1), f"not YAML: {_first_line(error)}")

    def _root(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, DocumentStartEvent) and root:
                self._stop(
                    _place(event), "a second document; a file holds one pipeline"
                )
            elif isinstance(event, NodeEvent):
                root = self._node(event, depth=0)
            elif isinstance(event, StreamEndEvent):
                break
        return root or self._stop(Place(1, 1), "the definition is empty")

    def _node(self, event: Event, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._stop(_place(event), f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if isinstance(event, ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, MappingStartEvent):
            node = self._mapping(event, depth)
        else:
            node = self._sequence(event, depth)
        if isinstance(event, NodeEvent) and event.anchor:
            # Registered once complete, so that nothing can hold itself.
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: AliasEvent) -> Node:
        if event.anchor not in self._anchors:
            message = f"alias {named(event.anchor)} is not defined before this"
            self._stop(_place(event), message)
        found = self._anchors[event.anchor]
        return Node(found.data, _place(event), found.weight, found.keys, found.children)

    def _scalar(self, event: ScalarEvent) -> Node:
        value, place = event.value, _place(event)
        if "\0" in value or not _encodable(value):
            self._problem(place, "text must not hold NUL or half a surrogate pair")
            value = ""
        data: Any = value
        if event.tag in _RESOLVED_TAGS or (event.tag is None and event.implicit[0]):
            data = self._resolved(value, place)
        else:
            self._check_tag(event)
        return Node(data, place, weight=1 + len(value) // 100)

    def _resolved(self, value: str, place: Place) -> Any:
        """What a plain scalar stands for in the core schema."""
        if value in _WORDS:
            return _WORDS[value]
        if _INTEGER.fullmatch(value):
            if len(value) <= 19:  # what every reader of JSON can hold
                return int(value, 0) if value[:2] in {"0o", "0x"} else int(value)
        elif _NUMBER.fullmatch(value):
            number = float(value)
            if math.isfinite(number):
                return number
        elif not _NO_NUMBER.fullmatch(value):
            return value
        self._problem(place, f"number {named(value)} is out of range")
        return 0

    def _mapping(self, start: MappingStartEvent, depth: int) -> Node:
        node = Node({}, _place(start))
        merged: list[Node] = []
        self._check_tag(start)
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if key.data == "<<" and getattr(event, "implicit", (False,))[0]:
                merged.extend(self._mergeable(value))
            elif (name := self._key(key, node)) is not None:
                self._add(node, name, key.place, value)
        for source in merged:
            for name, place in source.keys.items():
                if name not in node.keys:
                    self._add(node, name, place, source.children[name])
        return node

    def _sequence(self, start: Event, depth: int) -> Node:
        node = Node([], _place(start))
        self._check_tag(start)
        while not isinstance(event := next(self._events), SequenceEndEvent):
            item = self._node(event, depth + 1)
            node.children[len(node.data)] = item
            node.data.append(item.data)
            self._weigh(node, item)
        return node

    def _key(self, key: Node, mapping: Node) -> str | None:
        if isinstance(key.data, str) and key.data not in mapping.keys:
            return key.data
        self._problem(key.place, self._key_problem(key, mapping))
        return None

    def _key_problem(self, key: Node, mapping: Node) -> str:
        match key.data:
            case str(name):
                return f"key {named(name)} is already set in line {mapping.keys[name].line}"
            case dict() | list():
                return "a key must be text"
            case _:
                line = "".join(self._lines[key.place.line - 1 : key.place.line])
                start = key.place.column - 1
                return f"a key must be text; write {line[start:][: key.place.width]!r}"

    def _add(self, node: Node, name: str, place: Place, value: Node) -> None:
        node.keys[name] = place
        node.children[name] = value
        node.data[name] = value.data
        node.weight += len(name) // 100
        self._weigh(node, value)

    def _weigh(self, node: Node, child: Node) -> None:
        node.weight += child.weight
        if node.weight > MAX_WEIGHT:
            self._stop(child.place, "the definition is too large, aliases expanded")

    def _mergeable(self, value: Node) -> list[Node]:
        sources = (
            list(value.children.values()) if isinstance(value.data, list) else [value]
        )
        if all(isinstance(source.data, dict) for source in sources):
            return sources
        self._problem(value.place, "'<<' takes a mapping, or a list of mappings")
        return []

    def _check_tag(self, event: Event) -> None:
        tag = getattr(event, "tag", None)
        if tag not in _PLAIN_TAGS:
            shown = str(tag).replace(_TAGS, "!!")
            self._problem(_place(event), f"tag {named(shown)} is not allowed")

    def _problem(self, place: Place, message: str) -> None:
        self._problems.append(problem_at(self._file, self._lines, place, message))

    def _stop(self, place: Place, message: str) -> NoReturn:
        self._problem(place, message)
        raise DefinitionError(self._problems) from None


def _place(event: Event) -> Place:
    start, end = event.start_mark, event.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return Place(start.line + 1, start.column + 1, width)


def _encodable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
