import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from prefect_delivery.masking import Masker

secrets = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=8, max_size=60
)
KEY = (
    "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n  hkiG9w0BAQEFAASC\nx\n-----END KEY-----\n"
)


@settings(deadline=None)
@given(secrets, st.text(max_size=20), st.text(max_size=20))
def test_a_value_never_shows(secret: str, before: str, after: str) -> None:
    assume(secret not in before + "***" + after)

    shown = Masker([secret]).line(before + secret + after)

    assert secret not in shown
    assert "***" in shown


@settings(deadline=None)
@given(secrets, st.binary(max_size=5), st.binary(max_size=5))
def test_a_value_never_shows_in_base64_wherever_it_stands(
    secret: str, before: bytes, after: bytes
) -> None:
    text = base64.b64encode(before + secret.encode() + after).decode()

    shown = Masker([secret]).line(text)

    # At each end one digit may mix bits of the value with those of its neighbour.
    assert (
        len(shown.replace("***", "", 1))
        <= len(text) - len(secret.encode()) * 8 // 6 + 2
    )


@settings(deadline=None)
@given(secrets)
def test_a_value_never_shows_in_common_notations(secret: str) -> None:
    notations = [
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        secret.encode().hex(),
        secret.encode().hex().upper(),
        base64.b64encode(secret.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    ]

    for notation in notations:
        shown = Masker([secret]).line(f"<{notation}>")

        assert shown.startswith("<***") and len(shown) <= len("<***>") + 1


def test_overlapping_values_leave_nothing_of_either() -> None:
    masker = Masker(["abcdefgh12", "gh12345678"])

    assert masker.line("x abcdefgh12345678 y") == "x *** y"


def test_each_long_line_of_a_value_is_hidden_and_short_ones_are_not() -> None:
    masker = Masker([KEY])

    assert masker.line("hkiG9w0BAQEFAASC") == "***"
    assert masker.line("  x = x") == "  x = x"


@pytest.mark.parametrize("text", ["", "plain", "*** plain"])
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert Masker(["", "correct horse"]).line(text) == text
