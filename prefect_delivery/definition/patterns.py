"""Rules on glob patterns, those of files and those of branches."""

import re


def pattern_problem(pattern: str) -> str | None:
    """What is wrong with a pattern of files inside a folder; None when it is fine."""
    parts = pattern.removeprefix("!").split("/")
    if pattern.startswith("/") or re.match(r"[A-Za-z]:", pattern):
        return f"pattern {pattern!r} must be relative to the folder"
    if ".." in parts:
        return f"pattern {pattern!r} must not leave the folder with '..'"
    if re.search(r"\\\w", pattern):
        return f"pattern {pattern!r} must separate folders by '/'"
    return glob_problem(pattern)


def glob_problem(pattern: str) -> str | None:
    """What is wrong with a glob pattern as such; None when it is fine."""
    if "#{" in pattern:
        return f"pattern {pattern!r} must not hold a variable"
    if pattern.count("[") > pattern.count("]"):
        return f"pattern {pattern!r} opens a '[' that it does not close"
    return _expansion_problem(pattern) if "{" in pattern else None


def _expansion_problem(pattern: str) -> str | None:
    # Imported only for patterns that can stand for too many others.
    from wcmatch import glob

    try:
        glob.translate(pattern, flags=glob.BRACE | glob.GLOBSTAR)
    except Exception as error:  # noqa: BLE001 - wcmatch does not export what it raises
        return f"pattern {pattern!r} cannot be used: {str(error).lower()}"
    return None
