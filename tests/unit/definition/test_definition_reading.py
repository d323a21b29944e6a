"""Text to data: what YAML means here, and what hostile text is stopped by."""

import pytest

from prefect_delivery.definition.document import MAX_BYTES, MAX_DEPTH
from prefect_delivery.definition.reader import read
from prefect_delivery.errors import DefinitionError


def data_of(text: str) -> object:
    return read(text, "delivery.yaml").root.data


def refusal_of(text: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        read(text, "delivery.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("on: yes", {"on": "yes"}),
        ("a: [true, False, NULL, ~]", {"a": [True, False, None, None]}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: 2026-01-31", {"a": "2026-01-31"}),
        ("a: [012, 0o17, 0x1F, -3]", {"a": [12, 15, 31, -3]}),
        ("a: [1.5, .5, 1e3, 1.]", {"a": [1.5, 0.5, 1000.0, 1.0]}),
        ("a: '1'", {"a": "1"}),
        ("a: !!str 1", {"a": "1"}),
        ("%YAML 1.1\n---\na: yes", {"a": "yes"}),
        ('{"a": {"b": [1, null]}}', {"a": {"b": [1, None]}}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
    ],
)
def test_text_means_what_yaml_1_2_says(text: str, meaning: object) -> None:
    assert data_of(text) == meaning


def test_a_merged_mapping_gives_what_is_not_set_already() -> None:
    text = "base: &base {a: 1, b: 2}\nmine: {b: 3, <<: *base}"

    assert data_of(text) == {"base": {"a": 1, "b": 2}, "mine": {"a": 1, "b": 3}}


def test_of_several_merged_mappings_the_first_wins() -> None:
    text = "x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y]}"

    assert data_of(text) == {
        "x": {"a": 1},
        "y": {"a": 2, "b": 2},
        "z": {"a": 1, "b": 2},
    }


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\nb: 2\na: 3", "3:1", "key 'a' is already set in line 1"),
        ("{a: 1, a: 2}", "1:8", "key 'a' is already set in line 1"),
        ("1: a", "1:1", "a key must be text; write '1'"),
        ("true: a", "1:1", "a key must be text; write 'true'"),
        ("? [a]\n: 1", "1:3", "a key must be text"),
        ("a: [1", "1:6", "not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a:\n\tb: 1", "2:1", "not YAML: found character '\\t'"),
        ("a: 1\n--- b", "2:1", "a second document"),
        ("", "1:1", "the definition is empty"),
        ("# nothing", "1:1", "the definition is empty"),
        ("a: *b", "1:4", "alias 'b' is not defined before this"),
        ("a: &x [*x]", "1:8", "alias 'x' is not defined before this"),
        ("a: !!python/object:os.system x", "1:4", "tag '!!python/object:os.system'"),
        ("a: !include x.yaml", "1:4", "tag '!include' is not allowed"),
        ("a: !!binary aGk=", "1:4", "tag '!!binary' is not allowed"),
        ("a: !!set {x}", "1:4", "tag '!!set' is not allowed"),
        ("a: 1e400", "1:4", "number '1e400' is out of range"),
        ("a: .inf", "1:4", "number '.inf' is out of range"),
        ("a: .NaN", "1:4", "number '.NaN' is out of range"),
        ("a: 99999999999999999999", "1:4", "is out of range"),
        ('a: "\\0"', "1:4", "NUL"),
        ('a: "\\ud800"', "1:4", "surrogate"),
        ('a: "\\UFFFFFFFF"', "1:1", "not YAML"),
        ("a: \x07", "1:1", "not YAML"),
        ("a: {<<: 3}", "1:9", "'<<' takes a mapping, or a list of mappings"),
    ],
)
def test_text_that_is_ambiguous_or_unsafe_is_refused(
    text: str, place: str, message: str
) -> None:
    refusal = refusal_of(text)

    assert refusal.startswith(f"delivery.yaml:{place}: ")
    assert message in refusal


def test_all_problems_of_a_text_are_named_at_once() -> None:
    refusal = refusal_of("a: !x 1\nb: 1e999\na: 2")

    assert [line for line in refusal.splitlines() if "delivery.yaml" in line] == [
        "delivery.yaml:1:4: tag '!x' is not allowed",
        "delivery.yaml:2:4: number '1e999' is out of range",
        "delivery.yaml:3:1: key 'a' is already set in line 1",
    ]


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(
            "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
            + "".join(
                f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
            ),
            id="billion laughs",
        ),
        pytest.param(
            "a: &a '" + "x" * 100_000 + "'\nb: [" + "*a," * 1000 + "]",
            id="long text, often",
        ),
        pytest.param("[" + "a," * 51_000 + "]", id="many nodes"),
    ],
)
def test_what_expands_too_far_is_refused(bomb: str) -> None:
    assert "too large, aliases expanded" in refusal_of(bomb)


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "{a: "])
def test_what_nests_too_deep_is_refused(opening: str) -> None:
    assert f"deeper than {MAX_DEPTH} levels" in refusal_of(opening * 200)


def test_a_text_over_the_size_limit_is_refused_unread() -> None:
    refusal = refusal_of("a: " + "é" * (MAX_BYTES // 2))

    assert "longer than 1024 KiB" in refusal
    assert len(refusal) < 1000


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    refusal = refusal_of('a: !x "\u202e\x9b31m"')

    assert all(char.isprintable() or char == "\n" for char in refusal)
