"""What the shop says."""


def greet(visitor: str) -> str:
    return f"hello {visitor}"
