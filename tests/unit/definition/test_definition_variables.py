"""References to variables and their replacement."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_delivery.definition.variables import malformed, references, resolve
from prefect_delivery.errors import ActionFailed

VALUES = {("app", "commit"): "3f2a9c", ("variables", "x"): "#{app.commit}"}


def lookup(namespace: str, name: str) -> str:
    try:
        return VALUES[namespace, name]
    except KeyError:
        raise ActionFailed(f"no variable '#{{{namespace}.{name}}}'") from None


def test_references_are_found_in_order() -> None:
    found = references("at #{app.commit} of #{variables.x}")

    assert [(each.namespace, each.name) for each in found] == [
        ("app", "commit"),
        ("variables", "x"),
    ]
    assert str(found[0]) == "#{app.commit}"


def test_values_are_replaced_wherever_they_stand() -> None:
    value = {"a": ["at #{app.commit}!", 3, None, True], "#{app.commit}": {"b": "-"}}

    assert resolve(value, lookup) == {
        "a": ["at 3f2a9c!", 3, None, True],
        "#{app.commit}": {"b": "-"},
    }


def test_what_a_variable_holds_is_not_replaced_again() -> None:
    assert resolve("#{variables.x}", lookup) == "#{app.commit}"


def test_an_unknown_reference_is_what_the_lookup_makes_of_it() -> None:
    with pytest.raises(ActionFailed, match=r"no variable '#\{app\.branch\}'"):
        resolve(["#{app.branch}"], lookup)


@pytest.mark.parametrize("text", ["#{", "#{app}", "#{a.b.c}", "#{a. b}", "#{.b}"])
def test_half_a_reference_is_malformed(text: str) -> None:
    assert malformed(text)
    assert references(text) == []
    assert resolve(text, lookup) == text


@settings(deadline=None)
@given(st.text(alphabet="#{}ab.", max_size=30))
def test_text_without_references_stays_as_it_is(text: str) -> None:
    if not references(text):
        assert resolve(text, lookup) == text


@settings(deadline=None)
@given(st.text(max_size=30))
def test_a_value_is_put_in_letter_by_letter(value: str) -> None:
    assert resolve("<#{a.b}>", lambda *_: value) == f"<{value}>"
