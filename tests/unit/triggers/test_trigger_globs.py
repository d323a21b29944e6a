"""Patterns of triggers, by the examples of Java's and CodePipeline's documentation."""

import pytest

from prefect_delivery.definition.globs import glob_error, matches_any

MATCHES = [
    ("main", "main"),
    ("*", "main"),
    ("feature/*", "feature/a"),
    ("**", "feature/a/b"),
    ("feature/**", "feature/a/b"),
    ("*.java", "A.java"),
    ("*.{java,class}", "A.class"),
    ("foo.?", "foo.x"),
    ("/home/*/*", "/home/gus/data"),
    ("/home/**", "/home/gus"),
    ("**/*.py", "a/b/c.py"),
    ("**.py", "c.py"),
    ("[a-c]x", "bx"),
    ("[!a-c]x", "dx"),
    ("[-a]x", "-x"),
    ("[^a]x", "^x"),
    (r"a\*b", "a*b"),
    (r"[\]x", r"\x"),
    ("v{1,2*}.0", "v2b.0"),
    ("a,b", "a,b"),
    ("a}b", "a}b"),
    ("**", "line\nbreak"),
    ("(a|b).+", "(a|b).+"),
]
MISSES = [
    ("main", "mains"),
    ("*", "feature/a"),
    ("feature/*", "feature/a/b"),
    ("feature/**", "feature"),
    ("*.java", "src/A.java"),
    ("**/*.py", "c.py"),
    ("foo.?", "foo."),
    ("a?b", "a/b"),
    ("a[!x]b", "a/b"),
    ("a[+-0]b", "a/b"),
    ("[!a-c]x", "bx"),
    (r"a\*b", "axb"),
    ("main", "MAIN"),
    ("a.b", "axb"),
]
WRONG = ["[a", "[]", "[!]", "[a/b]", "[c-a]", "{a,{b}}", "{a", "a\\"]


@pytest.mark.parametrize(("pattern", "name"), MATCHES)
def test_a_pattern_matches(pattern: str, name: str) -> None:
    assert matches_any(name, [pattern])


@pytest.mark.parametrize(("pattern", "name"), MISSES)
def test_a_pattern_does_not_match(pattern: str, name: str) -> None:
    assert not matches_any(name, [pattern])


@pytest.mark.parametrize("pattern", WRONG)
def test_what_is_no_pattern_is_said_to_be_none(pattern: str) -> None:
    assert glob_error(pattern)


def test_a_pattern_of_many_stars_is_answered_all_the_same() -> None:
    assert not matches_any("a" * 100 + "b!", ["**a" * 40 + "**b"])
    assert not matches_any("ab" * 60 + "d", ["{*a,*b}" * 30 + "c"])
