"""Finds keys whatever the case of their letters, beside what `Values` can do."""

from collections.abc import Iterable
from typing import Any

from prefect_delivery.buildspec.values import Values
from prefect_delivery.definition.findings import Path, listed, named


class Section:
    """A mapping of an appspec, whose keys are written `Name` or `name`.

    Args:
        keys: Those that are known; others are noted and passed over.
    """

    def __init__(
        self, data: Any, path: Path, keys: Iterable[str], values: Values
    ) -> None:
        self.path = path
        self._values = values
        self._written: dict[str, str] = {}
        self._data = values.mapping(data, path)
        known = list(keys)
        by_lower = {key.lower(): key for key in known}
        canonical = {}
        for key in self._data:
            name = by_lower.get(key.lower(), key)
            if name in self._written:
                where = f"{named(self._written[name])} and {named(key)} are the same"
                values.wrong((*path, key), where, key=True)
            self._written[name] = key
            canonical[name] = key
        values.known(canonical, known, path)

    def __contains__(self, name: str) -> bool:
        return name in self._written

    def at(self, name: str) -> Path:
        """Where a key stands, as it is written."""
        return (*self.path, self._written.get(name, name))

    def get(self, name: str) -> Any:
        return self._data.get(self._written.get(name, name))

    def text(self, name: str) -> str | None:
        return self._values.text(self.get(name), self.at(name)) or None

    def needed(self, name: str) -> str:
        """Text that must be there."""
        text = self.text(name)
        if text is None and not isinstance(self.get(name), dict | list):
            place = f" in {listed(map(str, self.path[-1:]))}" if self.path else ""
            self._values.wrong(self.at(name), f"{named(name)} is needed{place}")
        return text or ""

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self._values.texts(self.get(name), self.at(name)))

    def number(self, name: str, low: int, high: int) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        if text.isdecimal() and len(text) < 10 and low <= int(text) <= high:
            return int(text)
        message = f"{named(name)} must be a number from {low} to {high}"
        self._values.wrong(self.at(name), f"{message}, not {named(text)}")
        return None

    def items(self, name: str) -> list[tuple[Path, Any]]:
        """The items of a list, each with its path; a note for what is empty."""
        data = self.get(name)
        if data is None:
            return []
        if not isinstance(data, list):
            self._values.wrong(self.at(name), f"{named(name)} must be a list")
            return []
        return [((*self.at(name), index), item) for index, item in enumerate(data)]
