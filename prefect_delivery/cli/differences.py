"""What differs between two definitions, part by part."""

import json
from collections.abc import Iterator
from typing import Any


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Lines such as `+ stages.Test`, `- stages.Lint`, `~ mode: queued → parallel`."""
    return list(_parts("", old, new))


def _parts(path: str, old: Any, new: Any) -> Iterator[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if old != new:
            yield f"~ {path}: {_shown(old)} → {_shown(new)}"
        return
    for key in [*old, *(key for key in new if key not in old)]:
        place = f"{path}.{key}" if path else str(key)
        if key not in new:
            yield f"- {place}{_value(old[key])}"
        elif key not in old:
            yield f"+ {place}{_value(new[key])}"
        else:
            yield from _parts(place, old[key], new[key])


def _value(value: Any) -> str:
    """A value behind its name; a mapping speaks by its name alone."""
    return "" if isinstance(value, dict) and value else f": {_shown(value)}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
