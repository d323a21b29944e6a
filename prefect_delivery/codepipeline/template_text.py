"""The YAML of CloudFormation: short tags, keys that look like numbers, larger files."""

from typing import Any

from ruamel.yaml.events import Event, NodeEvent, ScalarEvent

from prefect_delivery.definition.document import Document, Node, Place
from prefect_delivery.definition.reader import Reader

_PLAIN = {"!Ref": "Ref", "!Condition": "Condition"}


def read_template(text: str, file: str) -> Document:
    """Read the YAML of a template; `!Sub x` becomes `{"Fn::Sub": x}`.

    Raises:
        DefinitionError: Not YAML, ambiguous (a key twice) or beyond a limit.
    """
    return _TemplateReader(text, file).document()


class _TemplateReader(Reader):
    def _node(self, event: Event, depth: int) -> Node:
        tag = getattr(event, "tag", None)
        short = isinstance(tag, str) and tag.startswith("!") and tag != "!"
        node = super()._node(event, depth)
        if not (short and isinstance(event, NodeEvent)):
            return node
        function = _PLAIN.get(str(tag), f"Fn::{str(tag)[1:]}")
        if function == "Fn::GetAtt" and isinstance(node.data, str):
            node = _split(node)
        return wrapped(function, node)

    def _check_tag(self, event: Event) -> None:
        tag = getattr(event, "tag", None)
        if not (isinstance(tag, str) and tag.startswith("!")):
            super()._check_tag(event)

    def _resolved(self, value: str, place: Place) -> Any:
        # An account id such as 012345678901 is text, whatever the core schema says.
        if len(value) > 1 and value.lstrip("-+").isdigit() and value[0] in "0+":
            return value
        return (
            value
            if value.isdigit() and len(value) > 18
            else super()._resolved(value, place)
        )

    def _key(self, key: Node, mapping: Node) -> str | None:
        if not isinstance(key.data, str | dict | list):
            line = self._lines[key.place.line - 1]
            start = key.place.column - 1
            key = Node(line[start : start + key.place.width], key.place)
        return super()._key(key, mapping)

    def _scalar(self, event: ScalarEvent) -> Node:
        node = super()._scalar(event)
        if event.tag and event.tag.startswith("!") and event.tag != "!":
            node.data = event.value
        return node


def wrapped(function: str, node: Node) -> Node:
    """A call of an intrinsic function, as its long form would be read."""
    return Node(
        {function: node.data},
        node.place,
        node.weight,
        {function: node.place},
        {function: node},
    )


def _split(node: Node) -> Node:
    """`Resource.Attribute.Part` as the pair that the long form has."""
    parts = node.data.split(".", 1)
    children: dict[str | int, Node] = {
        index: Node(part, node.place) for index, part in enumerate(parts)
    }
    return Node(parts, node.place, children=children)
