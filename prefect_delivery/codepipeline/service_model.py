"""CodePipeline's own description of a declaration, as botocore ships it, as a check."""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from prefect_delivery.definition.findings import Finding, Path, listed, meant, named
from prefect_delivery.definition.shape import kind_of, quoting

Shape = dict[str, Any]

_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "structure": (dict, "a mapping"),
    "map": (dict, "a mapping"),
    "list": (list, "a list"),
    "string": (str, "text"),
    "integer": (int, "a whole number"),
    "timestamp": ((str, int, float), "a time"),
}
_LONGER = {"ActionConfigurationValue": 50_000}
"""What the service accepts where its model says 1000."""
PORTABLE = 1000


@dataclass
class Checked:
    """What a check found: what AWS refuses, and what it may not like."""

    errors: list[Finding] = field(default_factory=list[Finding])
    warnings: list[Finding] = field(default_factory=list[Finding])

    def error(self, path: Path, message: str, *, key: bool = False) -> None:
        self.errors.append(Finding(path=path, message=message, key=key))

    def warn(self, path: Path, message: str, *, key: bool = False) -> None:
        self.warnings.append(Finding(path=path, message=message, key=key))


def check_shape(data: Any, shape: str, path: Path, found: Checked) -> None:
    """Check data against a shape of the service model.

    Args:
        shape: Its name there, such as `PipelineDeclaration`.
        path: Where the data stands in its file.
    """
    spec = shapes()[shape]
    wanted, name = _TYPES[spec["type"]]
    # Not by the name `data`, which mypy would take for an `object` from here on.
    right: bool = isinstance(data, wanted) and not isinstance(data, bool)
    if not right:
        label = named(path[-1]) if path else "the file"
        message = f"{label} must be {name}, not {kind_of(data)}{quoting(data, name)}"
        found.error(path, message)
        return
    match spec["type"]:
        case "structure":
            _check_structure(data, spec, path, found)
        case "list":
            _check_length(len(data), spec, path, found, "entries")
            for index, item in enumerate(data):
                check_shape(item, spec["member"]["shape"], (*path, index), found)
        case "map":
            _check_length(len(data), spec, path, found, "entries")
            for key, value in data.items():
                check_shape(key, spec["key"]["shape"], (*path, key), found)
                check_shape(value, spec["value"]["shape"], (*path, key), found)
        case "integer":
            _check_number(data, spec, path, found)
        case "string":
            _check_text(str(data), shape, path, found)


@cache
def shapes() -> dict[str, Shape]:
    """All shapes of the service, by name."""
    # Imported on demand: native definitions do without.
    from botocore.loaders import Loader  # type: ignore[import-untyped]  # ships none

    found: dict[str, Shape] = Loader().load_service_model("codepipeline", "service-2")[
        "shapes"
    ]
    return found


def _check_structure(data: Any, spec: Shape, path: Path, found: Checked) -> None:
    members: dict[str, Shape] = spec["members"]
    for key, value in data.items():
        if key in members:
            check_shape(value, members[key]["shape"], (*path, key), found)
        else:
            close = meant(key, members)
            found.error((*path, key), f"unknown key {named(key)}{close}", key=True)
    for key in spec.get("required", ()):
        if key not in data:
            label = _label(data, path)
            found.error((*path, key), f"{named(key)} is missing{label}", key=True)


def _label(data: dict[str, Any], path: Path) -> str:
    if isinstance(name := data.get("name"), str):
        return f" in {named(name)}"
    texts = [part for part in path if isinstance(part, str)]
    return f" in {named(texts[-1])}" if texts else ""


def _check_length(
    length: int, spec: Shape, path: Path, found: Checked, what: str
) -> None:
    label = named(path[-1]) if path else "the file"
    if length < spec.get("min", 0):
        found.error(path, f"{label} must not be empty")
    elif length > spec.get("max", length):
        found.error(
            path, f"{label} has {length} {what}; at most {spec['max']} are allowed"
        )


def _check_number(data: Any, spec: Shape, path: Path, found: Checked) -> None:
    low, high = spec.get("min", data), spec.get("max", data)
    if not low <= data <= high:
        limits = f"from {low} to {high}" if "max" in spec else f"at least {low}"
        found.error(path, f"{named(path[-1])} must be {limits}, not {data}")


def _check_text(text: str, name: str, path: Path, found: Checked) -> None:
    spec = {**shapes()[name]}
    if name in _LONGER and len(text) <= _LONGER[name]:
        if len(text) > PORTABLE:
            message = (
                f"{named(path[-1])} is longer than the {PORTABLE} characters that "
            )
            found.warn(path, message + "the documentation allows")
        spec.pop("max", None)
    before = len(found.errors)
    _check_length(len(text), spec, path, found, "characters")
    if len(found.errors) > before:
        return
    if "enum" in spec and text not in spec["enum"]:
        close = meant(text, spec["enum"]) or f"; it is {listed(spec['enum'])}"
        found.error(path, f"{named(text)} is no {_words(name)}{close}")
    elif "pattern" in spec and not re.fullmatch(spec["pattern"], text, re.DOTALL):
        _refuse_form(text, name, spec["pattern"], path, found)


def _refuse_form(
    text: str, name: str, pattern: str, path: Path, found: Checked
) -> None:
    if name.endswith("Arn"):
        if "${" in text:
            return
        # Published files mask account ids, and people fill them in later.
        found.warn(path, f"{named(text)} is no ARN; CodePipeline will want {pattern}")
    elif name == "ActionProvider" and text.startswith("AWS "):
        # As the console shows it, and some pages of the documentation.
        found.warn(path, f"{named(text)} must be {named(text[4:])}")
    else:
        found.error(
            path, f"{named(text)} is no {_words(name)}: it must match {pattern}"
        )


def _words(shape: str) -> str:
    """`ActionProvider` as a person says it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", shape).lower()
