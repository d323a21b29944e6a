"""Variables in a definition: `#{namespace.name}`."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

_REFERENCE = re.compile(r"#\{([A-Za-z0-9@_-]+)\.([A-Za-z0-9@_-]+)\}")


class Reference(NamedTuple):
    """A use of a variable."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"#{{{self.namespace}.{self.name}}}"


def references(text: str) -> list[Reference]:
    """The variables that `text` uses, in order."""
    return [Reference(*match.groups()) for match in _REFERENCE.finditer(text)]


def malformed(text: str) -> bool:
    """Whether `text` holds a `#{` that begins no reference."""
    return "#{" in _REFERENCE.sub("", text)


def resolve(value: Any, lookup: Callable[[str, str], str]) -> Any:
    """Replace every reference in `value`, which may be nested; keys stay as they are.

    A replacement is not looked at again: what a variable holds is never a reference.

    Args:
        lookup: Gives the value for a namespace and a name, or raises.
    """
    match value:
        case str():
            return _REFERENCE.sub(lambda match: lookup(match[1], match[2]), value)
        case dict():
            return {key: resolve(part, lookup) for key, part in value.items()}
        case list():
            return [resolve(part, lookup) for part in value]
        case _:
            return value
