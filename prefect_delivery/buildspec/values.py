"""Takes values out of a buildspec's data, and notes what is not as it must be.

All scalars are text here, as they are written: `3.10` stays `3.10`, `yes` stays `yes`.
"""

from collections.abc import Iterable
from typing import Any

from prefect_delivery.definition.findings import Finding, Path, listed, meant, named

_YES = {"yes", "true", "on", "y"}
_NO = {"no", "false", "off", "n"}


class Values:
    """The findings so far, and the ways to read a value."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.notes: list[str] = []

    def wrong(
        self, path: Path, message: str, *, hint: str | None = None, key: bool = False
    ) -> None:
        self.findings.append(Finding(path=path, message=message, hint=hint, key=key))

    def mapping(self, data: Any, path: Path) -> dict[str, Any]:
        """A mapping; nothing at all counts as an empty one."""
        if isinstance(data, dict):
            return data
        if data is not None:
            self.wrong(path, f"{_place(path)} must be a mapping of names to values")
        return {}

    def known(self, data: dict[str, Any], keys: Iterable[str], path: Path) -> None:
        """Note the keys that CodeBuild does not know and passes over."""
        names = list(keys)
        for key in data:
            if key not in names:
                where = f" in {_place(path)}" if path else ""
                self.notes.append(f"unknown key {named(key)}{where}{meant(key, names)}")

    def text(self, data: Any, path: Path) -> str | None:
        """Text, or None for nothing."""
        if data is None or isinstance(data, str):
            return data
        self.wrong(path, f"{_place(path)} must be text")
        return None

    def flag(self, data: Any, path: Path, *, default: bool = False) -> bool:
        text = self.text(data, path)
        if not text:
            return default
        if text.lower() not in _YES | _NO:
            self.wrong(path, f"{_place(path)} must be yes or no, not {named(text)}")
        return text.lower() in _YES

    def texts(self, data: Any, path: Path, *, hint: str | None = None) -> list[str]:
        """A list of text; a single text counts as a list of one."""
        if data is None or isinstance(data, str):
            return [data] if data else []
        if not isinstance(data, list):
            message = f"{_place(path)} must be a list"
            self.wrong(path, message, hint=hint)
            return []
        found = []
        for index, item in enumerate(data):
            if isinstance(item, str):
                found.append(item)
            elif item is None:
                self.notes.append(f"{_place(path)}[{index}] is empty")
            else:
                kind = "subkeys" if isinstance(item, dict) else "a list"
                message = f"{_place(path)}[{index}] must be text, but holds {kind}"
                self.wrong((*path, index), message, hint=hint)
        return found

    def map_of_text(self, data: Any, path: Path) -> dict[str, str]:
        """Text by name; nothing as a value counts as empty text."""
        found = {}
        for name, value in self.mapping(data, path).items():
            text = self.text(value, (*path, name))
            if not name or "=" in name:
                place = (*path, name)
                self.wrong(place, f"{named(name)} is no name of a variable", key=True)
            elif value is None or text is not None:
                found[name] = text or ""
        return found

    def choice(self, data: Any, path: Path, among: Iterable[str]) -> str | None:
        text = self.text(data, path)
        names = list(among)
        if text is None or text in names:
            return text
        message = f"{_place(path)} must be {listed(names, limit=12)}"
        self.wrong(path, f"{message}, not {named(text)}{meant(text, names)}")
        return None


def _place(path: Path) -> str:
    return "'" + "/".join(str(part) for part in path) + "'" if path else "a buildspec"
