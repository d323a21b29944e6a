"""Glob patterns of triggers, as CodePipeline reads them: those of Java's NIO.

`*` and `?` do not cross a slash, `**` does; `[a-c]`, `[!a-c]`; `{a,b}`, not nested; a
backslash takes the meaning from the next character. So `**/x` does not match `x`.

Source: java.nio.file.FileSystem.getPathMatcher; CodePipeline user guide, "Working with
glob patterns in syntax".
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex  # type: ignore[import-untyped]  # ships no types

PATIENCE = 1.0
"""Seconds that matching one name may take: patterns exist that take for ever."""


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches the whole name.

    Raises:
        TimeoutError: A pattern takes too long.
    """
    return any(
        _compiled(pattern).fullmatch(name, timeout=PATIENCE) for pattern in patterns
    )


def glob_error(pattern: str) -> str | None:
    """What is wrong with a pattern; None when it is fine."""
    try:
        regex_of(pattern)
    except ValueError as error:
        return str(error)
    return None


def regex_of(pattern: str) -> str:
    """The regular expression that a pattern stands for.

    Raises:
        ValueError: It is none.
    """
    made, at, in_group = [], 0, False
    while at < len(pattern):
        char, at = pattern[at], at + 1
        match char:
            case "\\":
                if at == len(pattern):
                    raise ValueError("ends with a backslash that escapes nothing")
                made.append(re.escape(pattern[at]))
                at += 1
            case "[":
                part, at = _class(pattern, at)
                made.append(part)
            case "{":
                if in_group:
                    raise ValueError("has a '{' within another")
                in_group = True
                made.append("(?:(?:")
            case "}" if in_group:
                in_group = False
                made.append("))")
            case "," if in_group:
                made.append(")|(?:")
            case "*":
                deep = pattern[at : at + 1] == "*"
                at += deep
                made.append(".*" if deep else "[^/]*")
            case "?":
                made.append("[^/]")
            case _:
                made.append(re.escape(char))
    if in_group:
        raise ValueError("opens a '{' that it does not close")
    return "".join(made)


def _class(pattern: str, at: int) -> tuple[str, int]:
    """The set of characters that begins after a bracket, and where it ends."""
    end = pattern.find("]", at)
    if end < 0:
        raise ValueError("opens a '[' that it does not close")
    inside = pattern[at:end]
    negated = inside.startswith("!")
    inside = inside[negated:]
    if not inside:
        raise ValueError("has an empty '[]'")
    if "/" in inside:
        raise ValueError("has a '/' between brackets")
    made, position = "", 0
    while position < len(inside):
        first = inside[position]
        if inside[position + 1 : position + 2] == "-" and position + 2 < len(inside):
            last = inside[position + 2]
            if last < first:
                raise ValueError(f"has a range that runs backwards: {first}-{last}")
            made += f"{re.escape(first)}-{re.escape(last)}"
            position += 3
        else:
            made += re.escape(first)
            position += 1
    return f"(?!/)[{'^' * negated}{made}]", end + 1


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> "regex.Pattern[str]":
    import regex

    # What is excluded shall not come in by a line break in its name.
    return regex.compile(regex_of(pattern), regex.DOTALL | regex.VERSION0)
