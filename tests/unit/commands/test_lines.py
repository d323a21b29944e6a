from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_delivery.lines import LINE, Lines
from prefect_delivery.masking import Masker


def lines_of(*chunks: bytes, secret: str = "", limit: int = 1 << 30) -> list[str]:
    found: list[str] = []
    lines = Lines(found.append, mask=Masker([secret]).line, limit=limit)
    for chunk in chunks:
        lines.feed(chunk)
    lines.close()
    return found


def test_lines_are_put_together_from_chunks_whatever_ends_them() -> None:
    assert lines_of(b"a", b"b\r", b"\nc\rd\n\ne") == ["ab", "c", "d", "", "e"]


def test_a_character_that_is_split_over_chunks_is_one() -> None:
    snowman = "☃".encode()

    assert lines_of(snowman[:1], snowman[1:]) == ["☃"]


def test_bytes_that_are_no_text_show_as_replacement() -> None:
    assert lines_of(b"a\xffb\n") == ["a�b"]


def test_control_and_direction_characters_are_shown_and_tabs_kept() -> None:
    text = "a\tb\x00\x1b]0;title\x07\x7f\x9b\u202e\n"

    assert lines_of(text.encode()) == [
        r"a" + "\t" + r"b\x00\x1b]0;title\x07\x7f\x9b\u202e"
    ]


def test_colours_are_dropped() -> None:
    assert lines_of(b"\x1b[1;31mred\x1b[0m\n") == ["red"]


def test_a_long_line_is_cut_into_pieces_that_hold_all_of_it() -> None:
    pieces = lines_of(*[b"0123456789" * 1000] * 30, b"\nnext")

    assert "".join(pieces[:-1]) == "0123456789" * 30_000
    assert max(map(len, pieces)) <= LINE
    assert pieces[-1] == "next"


@settings(max_examples=100, deadline=None)
@given(st.integers(-21, 1), st.integers(-1, 21), st.integers(1, 3))
def test_a_secret_is_hidden_also_where_a_long_line_is_cut(
    start: int, border: int, pieces: int
) -> None:
    secret = "correct horse battery"
    before, after = "." * (pieces * LINE + start), "." * LINE
    text = f"{before}{secret}{after}".encode()
    border += pieces * LINE

    shown = "".join(lines_of(text[:border], text[border:], secret=secret))

    assert shown == f"{before}***{after}"


def test_after_the_limit_one_note_comes_and_nothing_more() -> None:
    assert lines_of(b"abcdef\n", b"ghi\n", b"jkl\n", limit=9) == [
        "abcdef",
        "gh",
        "(output after the first 9 bytes not shown)",
    ]
