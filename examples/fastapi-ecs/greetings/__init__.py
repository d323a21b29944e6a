"""How people are greeted."""


def greeting(name: str) -> str:
    """A greeting, with the name as its owner would write it."""
    return f"Hello, {name.strip() or 'world'}!"
