"""Say hello."""

import sys


def greet(name: str) -> str:
    """A greeting for `name`; for the world when it is empty."""
    return f"Hello, {name.strip() or 'world'}!"


def main() -> None:
    """Greet whom the command line names."""
    print(greet(" ".join(sys.argv[1:])))
