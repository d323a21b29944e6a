"""What holds for any text: it is a pipeline in normal form or a `DefinitionError`."""

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_delivery.definition import Pipeline, load
from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.errors import DefinitionError

CATALOGUE = Catalogue.load(Path(__file__).with_name("catalogue.json"))
UNTIMED: dict[str, Any] = {
    "deadline": None,  # the machine may be busy
    "suppress_health_check": [HealthCheck.too_slow],
}
SHOP: dict[str, Any] = {
    "pipeline": "shop",
    "on": {"push": {"branches": ["main"]}, "schedule": [{"cron": "0 6 * * *"}]},
    "variables": {"greeting": {"default": "hello"}},
    "environments": {"production": {"kind": "host", "root": "./site"}},
    "stages": {
        "Source": {
            "actions": {"app": {"uses": "source/git", "with": {"url": "."}}},
        },
        "Build": {
            "needs": ["Source"],
            "before_entry": {
                "rules": {"r": {"uses": "rule/compare", "with": {"value": "x"}}}
            },
            "actions": {
                "package": {
                    "uses": "build/commands",
                    "with": {
                        "commands": ["make"],
                        "environment": {"REVISION": "#{app.commit}"},
                    },
                    "inputs": {"source": "app"},
                    "outputs": {"site": ["dist/**"]},
                    "retry": {"attempts": 3},
                }
            },
        },
        "Production": {
            "actions": {
                "deploy": {
                    "uses": "deploy/environment",
                    "inputs": "site",
                    "with": {"environment": "production"},
                }
            }
        },
    },
}
WORDS = [
    *("app", "site", "Build", "Source", "Production", "package", "deploy", "with"),
    *("uses", "inputs", "outputs", "needs", "kind", "host", "source/git", "a/b"),
    *("rule/compare", "build/commands", "#{app.commit}", "#{deploy.url}", "#{", ""),
    *("[", "{1..99999}", "../x", "execution", "x" * 200, "\u202e", "é"),
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
VALUES = st.recursive(
    LEAVES,
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(
            st.sampled_from(WORDS) | st.text(max_size=5), each, max_size=3
        )
    ),
    max_leaves=6,
)


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, Any]:
    """The definition of the shop with a few parts replaced, renamed or left out."""
    data: dict[str, Any] = json.loads(json.dumps(SHOP))
    for _ in range(draw(st.integers(1, 3))):
        _mutate(draw, data)
    return data


def _mutate(draw: st.DrawFn, part: Any) -> None:
    keys = list(part) if isinstance(part, dict) else list(range(len(part)))
    if not keys:
        return
    key = draw(st.sampled_from(keys))
    if isinstance(part[key], dict | list) and draw(st.integers(0, 4)):
        return _mutate(draw, part[key])
    match draw(st.sampled_from(["replace", "remove", "rename"])):
        case "replace":
            part[key] = draw(VALUES)
        case "rename" if isinstance(part, dict):
            part[draw(st.sampled_from(WORDS))] = part.pop(key)
        case _:
            del part[key]


def check(text: str) -> None:
    try:
        pipeline = load(text, catalogue=CATALOGUE)
    except DefinitionError as error:
        assert error.problems
        assert all(char.isprintable() or char == "\n" for char in str(error))
        return
    again = Pipeline.model_validate(json.loads(json.dumps(pipeline.snapshot())))
    assert again == pipeline
    assert again.digest == pipeline.digest
    assert load(json.dumps(pipeline.snapshot()), catalogue=CATALOGUE) == pipeline


@settings(**UNTIMED)
@given(st.text(max_size=200))
def test_any_text_is_refused_in_words(text: str) -> None:
    check(text)


@settings(**UNTIMED)
@given(st.text(alphabet="[]{}:,-?&*!|>'\"%@`#<= \n\tab01~.\\u", max_size=60))
def test_any_yaml_like_text_is_refused_in_words(text: str) -> None:
    check(text)


@settings(max_examples=300, **UNTIMED)
@given(mutations())
def test_any_change_of_a_definition_is_right_or_refused_in_words(
    data: dict[str, Any],
) -> None:
    check(json.dumps(data))


@settings(**UNTIMED)
@given(st.data())
def test_any_cut_of_a_definition_is_refused_in_words(data: st.DataObject) -> None:
    text = json.dumps(SHOP, indent=1)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))

    check(text[:start] + text[end:])


def test_the_unchanged_definition_is_right() -> None:
    assert load(json.dumps(SHOP), catalogue=CATALOGUE).pipeline == "shop"
