import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_delivery.cli.terminal import clean, one_line, pairs
from prefect_delivery.errors import Refused


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain ✓ äöü 你好", "plain ✓ äöü 你好"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\after", "after"),
        ("\x1b(Bcharset", "charset"),
        ("back\x08space", "back\ufffdspace"),
        ("over\rwritten", "over\ufffdwritten"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("\udcff", "\ufffd"),
        ("line\r\nend", "line\nend"),
        ("a\tb\nc", "a   b\nc"),
    ],
)
def test_nothing_is_left_that_a_terminal_obeys(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(
    st.text(alphabet=st.characters(codec=None) | st.sampled_from("\x1b[]0;\x07\\mP"))
)
def test_no_text_keeps_a_control_character(text: str) -> None:
    shown = clean(text)

    controls = {chr(n) for n in [*range(0x20), *range(0x7F, 0xA0)]} - {"\n"}
    assert not controls & set(shown)
    assert shown.encode().decode() == shown


def test_one_line_has_neither_line_ends_nor_double_blanks() -> None:
    assert one_line("  a\n\n b\t\x1b[1mc ") == "a b c"


def test_pairs_may_hold_equal_signs_in_their_values() -> None:
    assert pairs(["a=1", "b=x=y", "c="], "-v") == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize("words", [["a"], ["=1"], ["a=1", "a=2"]])
def test_words_that_are_no_pairs_are_refused(words: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        pairs(words, "-v")

    assert "-v" in (refused.value.hint or "")
