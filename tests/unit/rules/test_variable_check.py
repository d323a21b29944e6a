"""How variables compare, by table; and that no pattern hangs."""

import pytest

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.rules.variable_check import Operator, check_variable


@pytest.mark.parametrize(
    ("variable", "operator", "value"),
    [
        ("main", "EQ", "main"),
        ("1.0", "NE", "1"),
        ("feature/x", "CONTAINS", "/"),
        ("anything", "CONTAINS", ""),
        ("v1.2.3", "MATCHES", r"v\d+\.\d+\.\d+"),
        ("9", "LT", "10"),
        ("1e2", "LE", "100.0"),
        ("0.3", "GT", "0.29999999999999999999"),
        ("-0", "GE", "0"),
        (" 80 ", "GE", "80"),
    ],
)
def test_it_holds(variable: str, operator: Operator, value: str) -> None:
    check_variable.fn(variable, operator, value)


@pytest.mark.parametrize(
    ("variable", "operator", "value", "said"),
    [
        ("Main", "EQ", "main", "'Main' is not 'main'"),
        ("main", "NE", "main", "'main' is 'main'"),
        ("main", "CONTAINS", "x", "'main' does not contain 'x'"),
        ("v1.2.3-rc", "MATCHES", r"v[\d.]+", "'v1.2.3-rc' does not match"),
        ("10", "LT", "9", "'10' is not less than '9'"),
        ("79.9", "GE", "80", "'79.9' is less than '80'"),
        ("", "LT", "1", "'' is no number"),
        ("NaN", "LT", "1", "'NaN' is no number"),
        ("1", "LT", "many", "'many' is no number"),
        ("x", "MATCHES", "(", r"'\(' is no regular expression"),
    ],
)
def test_it_does_not_hold_and_says_why(
    variable: str, operator: Operator, value: str, said: str
) -> None:
    with pytest.raises(ActionFailed, match=said):
        check_variable.fn(variable, operator, value)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("pattern", ["(a+)+b", "(.*a){25}b", "(a|aa)+$x"])
def test_a_pattern_that_would_take_for_ever_fails(pattern: str) -> None:
    with pytest.raises(ActionFailed, match=r"longer than 2 s|does not match"):
        check_variable.fn("a" * 3000, "MATCHES", pattern)


@pytest.mark.timeout(30)
def test_at_least_one_of_them_does_run_into_the_limit() -> None:
    with pytest.raises(ActionFailed, match="took longer than 2 s"):
        check_variable.fn("a" * 3000 + "!", "MATCHES", "(.*a){25}b")
