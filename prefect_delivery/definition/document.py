"""A definition's text, read as data that remembers where each part stands.

YAML 1.2 with its core schema, so that JSON reads as well, `on` stays text and `12:30`
too. Read from the parser's events in one pass, since hostile text must be stopped while
it is read: size, depth, and what aliases expand to have limits.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from prefect_delivery.definition.findings import Finding, Path
from prefect_delivery.errors import DefinitionError, Problem
from prefect_delivery.masking import source_line

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_WEIGHT = 50_000
"""Of all nodes after aliases are expanded: each counts 1, and 1 per 100 characters."""


@dataclass(frozen=True)
class Place:
    """Where something stands; line and column from 1, width 0 for what is left out."""

    line: int
    column: int
    width: int = 1


@dataclass
class Node:
    """A part of a definition: its data, its place, and its parts.

    Attributes:
        keys: Places of a mapping's keys.
        weight: What the node costs when its aliases are expanded.
    """

    data: Any
    place: Place
    weight: int = 1
    keys: dict[str, Place] = field(default_factory=dict[str, Place])
    children: dict[str | int, "Node"] = field(default_factory=dict[str | int, "Node"])


@dataclass(frozen=True)
class Document:
    """A definition that could be read."""

    file: str
    lines: list[str]
    root: Node

    def error(self, findings: Iterable[Finding]) -> DefinitionError:
        """All findings at their places, in the order of the text."""
        problems = dict.fromkeys(self._problem(finding) for finding in findings)
        return DefinitionError(sorted(problems, key=lambda p: (p.line or 0, p.column)))

    def _problem(self, finding: Finding) -> Problem:
        return problem_at(
            self.file,
            self.lines,
            self._place(finding.path, key=finding.key),
            finding.message,
            hint=finding.hint,
        )

    def _place(self, path: Path, *, key: bool) -> Place:
        node, place = self.root, self.root.place
        for depth, part in enumerate(path, start=1):
            if part not in node.children:
                break
            own_key = node.keys.get(str(part)) if isinstance(part, str) else None
            node = node.children[part]
            # A collection would be shown by its first character, "nothing" by none.
            wide = not isinstance(node.data, dict | list) and node.place.width
            at_key = not wide or (key and depth == len(path))
            place = (own_key if at_key else None) or node.place
        return place


def problem_at(
    file: str, lines: list[str], place: Place, message: str, *, hint: str | None = None
) -> Problem:
    """A problem with its source line, made safe to print."""
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    # Masked before it is cut, which might leave half of a secret.
    line = source_line(line)
    text = "".join(char if char.isprintable() else " " for char in line[:160])
    return Problem(
        message=message,
        file=file,
        line=place.line,
        column=place.column,
        text=text if place.column <= len(text) + 1 else "",
        width=max(1, min(place.width, len(text) - place.column + 1)),
        hint=hint,
    )
