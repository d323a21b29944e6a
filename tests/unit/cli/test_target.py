import pytest

from prefect_delivery.cli.target import Target, is_id, parse_target
from prefect_delivery.errors import Refused


@pytest.mark.parametrize(
    ("words", "target"),
    [
        (["shop", "42"], Target("shop", 42)),
        (["shop", "#42"], Target("shop", 42)),
        (["shop #42"], Target("shop", 42)),
        (["shop#42"], Target("shop", 42)),
        (["shop"], Target("shop")),
        (["shop", "42", "Build/unit"], Target("shop", 42, ("Build/unit",))),
        (["shop", "Build"], Target("shop", None, ("Build",))),
        (["2048", "7"], Target("2048", 7)),
    ],
)
def test_an_execution_is_named_as_people_say_it(
    words: list[str], target: Target
) -> None:
    assert parse_target(words, ["shop", "blog", "2048"]) == target


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ([], Target("shop")),
        (["42"], Target("shop", 42)),
        (["#42", "Build"], Target("shop", 42, ("Build",))),
        (["Build"], Target("shop", None, ("Build",))),
    ],
)
def test_the_only_pipeline_need_not_be_named(words: list[str], target: Target) -> None:
    assert parse_target(words, ["shop"]) == target


def test_without_a_name_several_pipelines_are_too_many() -> None:
    with pytest.raises(Refused, match="which pipeline\\? there are: blog, shop"):
        parse_target(["42"], ["blog", "shop"])


def test_a_misspelt_pipeline_is_guessed() -> None:
    with pytest.raises(
        Refused, match="no pipeline 'shpo' has run; did you mean 'shop'"
    ):
        parse_target(["shpo", "42"], ["blog", "shop"])


def test_before_the_first_run_there_is_nothing_to_name() -> None:
    with pytest.raises(Refused) as refused:
        parse_target([], [])

    assert refused.value.hint == "deliver run --local"


@pytest.mark.parametrize("word", ["42", "shop", "Build/unit", "abcdef"])
def test_what_may_be_a_name_is_no_id(word: str) -> None:
    assert not is_id(word)
    assert is_id("c91dc96957bc4234b4457e741e300fec")
