from greeting import greet


def test_it_greets_by_name() -> None:
    assert greet("ann").endswith("ann")


def test_it_is_polite() -> None:
    assert greet("ann").split()[0] in {"hello", "welcome"}
