from greeting import greet


def test_a_person_is_greeted_by_name() -> None:
    assert greet("Ada") == "Hello, Ada!"


def test_nobody_in_particular_is_the_world() -> None:
    assert greet("  ") == "Hello, world!"
