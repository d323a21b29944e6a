"""CloudFormation's functions, worked out as far as a template tells.

What is known only when a stack is made (`AWS::AccountId`, a resource's ARN, a parameter
without default) stays in sight as `${Name}`.
Source: CloudFormation template reference, "Intrinsic functions".
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prefect_delivery.definition.document import MAX_DEPTH, Node, Place
from prefect_delivery.definition.findings import Finding, Path

_KNOWN = {"AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}
_BRACES = re.compile(r"\$\{|\}")
_IN_SUB = re.compile(r"\$\{(!?)([^${}]*)\}")


class Nothing:
    """What `AWS::NoValue` leaves: no property at all."""


@dataclass
class Resolver:
    """Works out the functions of one template.

    Attributes:
        parameters: Values that are given for parameters.
        notes: What had to be guessed.
    """

    template: Mapping[str, Any]
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: list[Finding] = field(default_factory=list[Finding])

    def resolve(self, node: Node, path: Path = (), depth: int = 0) -> Node | Nothing:
        """A part of the template with its functions worked out; places stay."""
        if depth > 2 * MAX_DEPTH:
            return _text(node, "${...}")
        if isinstance(node.data, dict):
            name = next(iter(node.data), None)
            if len(node.data) == 1 and _is_function(name):
                return self._call(
                    str(name), node.children[str(name)], node, path, depth
                )
            return self._mapping(node, path, depth)
        if isinstance(node.data, list):
            return self._sequence(node, path, depth)
        return node

    def holds(self, name: str, depth: int = 0) -> bool | None:
        """Whether a condition holds; None when that is not known."""
        conditions = self.template.get("Conditions")
        if depth > MAX_DEPTH or not isinstance(conditions, dict):
            return None
        return self._truth(conditions.get(name), depth + 1)

    def _mapping(self, node: Node, path: Path, depth: int) -> Node:
        found = Node({}, node.place)
        for key, child in node.children.items():
            value = self.resolve(child, (*path, key), depth + 1)
            if isinstance(value, Node):
                found.data[key] = value.data
                found.children[key] = value
                found.keys[str(key)] = node.keys[str(key)]
        return found

    def _sequence(self, node: Node, path: Path, depth: int) -> Node:
        found = Node([], node.place)
        for key, child in node.children.items():
            value = self.resolve(child, (*path, key), depth + 1)
            if isinstance(value, Node):
                found.children[len(found.data)] = value
                found.data.append(value.data)
        return found

    def _call(
        self, name: str, given: Node, whole: Node, path: Path, depth: int
    ) -> Node | Nothing:
        if name == "Fn::If":
            return self._if(given, path, depth)
        if name == "Ref" and given.data == "AWS::NoValue":
            return Nothing()
        if name == "Fn::Sub":
            return self._sub(given, path, depth)
        argument = self.resolve(given, path, depth + 1)
        value = argument.data if isinstance(argument, Node) else None
        if name == "Fn::Select" and isinstance(argument, Node):
            return self._select(argument, whole)
        return _placed(self._value(name, value), whole.place)

    def _value(self, name: str, value: Any) -> Any:
        """What a function makes of arguments that are worked out."""
        match name, value:
            case "Ref", str():
                return self._ref(value)
            case "Fn::GetAtt", [str(resource), str(attribute)]:
                return f"${{{resource}.{attribute}}}"
            case "Fn::GetAtt", str():
                return f"${{{value}}}"
            case "Fn::Join", [str(joint), list(parts)]:
                return joint.join(_as_text(part) for part in parts)
            case "Fn::Join", [str(joint), str(parts)]:
                return parts
            case "Fn::Split", [str(joint), str(text)] if joint:
                return text.split(joint)
            case "Fn::FindInMap", [map_name, first, second, *rest]:
                return self._find(map_name, first, second, rest)
            case "Fn::ImportValue", _:
                return _unknown(value)
            case "Fn::Base64", str() if "${" not in value:
                return base64.b64encode(value.encode()).decode()
            case "Fn::ToJsonString", dict() | list():
                return json.dumps(value)
            case "Fn::Length", list():
                return str(len(value))
            case "Condition", str():
                holds = self.holds(value)
                return (
                    "true" if holds else "false" if holds is False else f"${{{value}}}"
                )
            case _:
                return f"${{{name}}}"

    def _ref(self, name: str) -> Any:
        if name in self.parameters:
            return self._parameter(name, self.parameters[name])
        if name in _KNOWN:
            return _KNOWN[name]
        parameters = self.template.get("Parameters")
        spec = parameters.get(name) if isinstance(parameters, dict) else None
        default = spec.get("Default") if isinstance(spec, dict) else None
        if default is None or default == "" or isinstance(default, dict | list):
            return f"${{{name}}}"
        return self._parameter(name, _as_text(default))

    def _parameter(self, name: str, value: str) -> Any:
        parameters = self.template.get("Parameters")
        spec = parameters.get(name) if isinstance(parameters, dict) else None
        kind = str(spec.get("Type", "")) if isinstance(spec, dict) else ""
        if kind.startswith("AWS::SSM::Parameter"):
            return f"${{{name}}}"  # the value is the name of where the value is
        many = kind == "CommaDelimitedList" or kind.startswith("List<")
        return [part.strip() for part in value.split(",")] if many else value

    def _find(self, map_name: Any, first: Any, second: Any, rest: list[Any]) -> Any:
        found: Any = self.template.get("Mappings")
        for key in (map_name, first, second):
            found = found.get(_as_text(key)) if isinstance(found, dict) else None
        if found is not None:
            return found
        if rest and isinstance(rest[0], dict) and "DefaultValue" in rest[0]:
            return rest[0]["DefaultValue"]
        return _unknown(".".join(map(_as_text, (map_name, first, second))))

    def _select(self, argument: Node, whole: Node) -> Node | Nothing:
        match argument.data:
            case [index, list(parts)] if _as_text(index).isdecimal():
                number = int(_as_text(index))
                if number < len(parts):
                    return argument.children[1].children[number]
            case _:
                pass
        return _text(whole, "${Fn::Select}")

    def _if(self, given: Node, path: Path, depth: int) -> Node | Nothing:
        if not (isinstance(given.data, list) and len(given.data) == 3):
            return _text(given, "${Fn::If}")
        name = given.data[0]
        holds = self.holds(name) if isinstance(name, str) else None
        if holds is None:
            message = f"taken as true: condition {name!r} is known only to a stack"
            self.notes.append(Finding(path=path, message=message))
        chosen = given.children[2 if holds is False else 1]
        return self.resolve(chosen, path, depth + 1)

    def _sub(self, given: Node, path: Path, depth: int) -> Node:
        text, own = given, Node({}, given.place)
        if isinstance(given.data, list) and len(given.data) == 2:
            text = given.children[0]
            values = self.resolve(given.children[1], path, depth + 1)
            own = values if isinstance(values, Node) else own
        if not isinstance(text.data, str):
            return _text(given, "${Fn::Sub}")
        names = own.data if isinstance(own.data, dict) else {}

        def replace(match: re.Match[str]) -> str:
            literal, name = match[1], match[2].strip()
            if literal:
                return f"${{{name}}}"
            return _as_text(names[name]) if name in names else _as_text(self._ref(name))

        return _text(given, _IN_SUB.sub(replace, text.data))

    def _truth(self, data: Any, depth: int) -> bool | None:
        if depth > MAX_DEPTH or not isinstance(data, dict) or len(data) != 1:
            return None
        (name, value), *_ = data.items()
        match name, value:
            case "Condition", str():
                return self.holds(value, depth)
            case "Fn::Equals", [first, second]:
                return self._equal(first, second)
            case "Fn::Not", [part]:
                truth = self._truth(part, depth + 1)
                return None if truth is None else not truth
            case (("Fn::And" | "Fn::Or"), list(parts)):
                truths = [self._truth(part, depth + 1) for part in parts]
                decisive: bool = name == "Fn::Or"
                if decisive in truths:
                    return decisive
                undecided = None in truths
                return None if undecided else not decisive
            case _:
                return None

    def _equal(self, first: Any, second: Any) -> bool | None:
        texts: list[str] = []
        for each in (first, second):
            name = each.get("Ref") if isinstance(each, dict) else None
            if isinstance(name, str) and name in self._empty():
                texts.append("")
                continue
            value = self.resolve(_nodes(each))
            if not isinstance(value, Node) or "${" in _as_text(value.data):
                return None
            texts.append(_as_text(value.data))
        return texts[0] == texts[1]

    def _empty(self) -> set[str]:
        """Parameters whose default is no text at all."""
        parameters = self.template.get("Parameters")
        found = parameters.items() if isinstance(parameters, dict) else ()
        return {
            name
            for name, spec in found
            if isinstance(spec, dict)
            and spec.get("Default") == ""
            and name not in self.parameters
        }


def _is_function(name: object) -> bool:
    return isinstance(name, str) and (
        name in {"Ref", "Condition"} or name.startswith("Fn::")
    )


def _unknown(value: Any) -> str:
    """What stays in sight for a value that only a stack knows."""
    return f"${{{_BRACES.sub('', _as_text(value))}}}"


def _as_text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case list() if all(isinstance(part, str) for part in value):
            return ",".join(value)
        case dict() | list():
            return json.dumps(value)
        case None:
            return ""
        case _:
            return str(value)


def _text(node: Node, text: str) -> Node:
    return Node(text, node.place)


def _placed(data: Any, place: Place) -> Node:
    node = _nodes(data)
    node.place = place
    for child in node.children.values():
        child.place = place
    return node


def _nodes(data: Any) -> Node:
    place = Place(1, 1, 0)
    node = Node(data, place)
    if isinstance(data, dict):
        node.children = {str(key): _nodes(value) for key, value in data.items()}
        node.keys = {str(key): place for key in data}
    elif isinstance(data, list):
        node.children = {index: _nodes(value) for index, value in enumerate(data)}
    return node
