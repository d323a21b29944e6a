"""What a rule found, by path into the definition; the loader adds the place."""

from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        path: Keys and indexes that lead to it; the nearest place that exists is shown.
        key: Points at the last key of the path instead of its value.
    """

    path: Path
    message: str
    key: bool = False
    hint: str | None = None


def named(name: object, *, limit: int = 80) -> str:
    """`name` in quotes, with what a terminal would obey made visible, and shortened."""
    text = str(name)
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def listed(names: Iterable[str], *, last: str = "or", limit: int = 8) -> str:
    """The names in quotes, as a sentence would list them."""
    shown = [named(name) for name in names]
    if len(shown) > limit:
        shown = [*shown[:limit], f"{len(shown) - limit} more"]
    *head, tail = shown or ["nothing"]
    return f"{', '.join(head)} {last} {tail}" if head else tail


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` when a known name is close, else nothing."""
    import difflib

    names = list(known)
    # Letters that changed places are the commonest slip, and difflib rates it low.
    close = [each for each in names if sorted(each) == sorted(name)]
    close += difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {named(close[0])}?" if close else ""
