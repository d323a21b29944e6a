import pytest

from prefect_delivery.buildspec.loader import load_buildspec
from prefect_delivery.buildspec.models import Batch
from prefect_delivery.errors import DefinitionError


def batch(text: str) -> Batch:
    indented = text.replace("\n", "\n  ")
    read = load_buildspec(f"version: 0.2\nbatch:\n  {indented}\n", "buildspec.yml")
    assert read.batch
    return read.batch


def refusal(text: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        batch(text)
    return str(caught.value)


def test_a_graph_keeps_what_builds_depend_on() -> None:
    read = batch(
        "fast-fail: true\n"
        "build-graph:\n"
        "  - {identifier: a, env: {variables: {X: 1}, image: i}}\n"
        "  - {identifier: b, depend-on: [a], ignore-failure: yes, buildspec: b.yml}"
    )

    assert read.fast_fail
    first, second = read.builds
    assert (first.variables, first.image, first.after) == ({"X": "1"}, "i", ())
    assert (second.after, second.ignore_failure) == (("a",), True)
    assert second.buildspec == "b.yml"


def test_a_matrix_becomes_every_combination() -> None:
    read = batch(
        "build-matrix:\n"
        "  static: {ignore-failure: true, env: {privileged-mode: true}}\n"
        "  dynamic:\n"
        "    buildspec: [x.yml, y.yml]\n"
        "    env: {image: [i], variables: {A: [1, 2], B: [c]}}"
    )

    assert [(b.buildspec, b.image, b.variables) for b in read.builds] == [
        ("x.yml", "i", {"A": "1", "B": "c"}),
        ("x.yml", "i", {"A": "2", "B": "c"}),
        ("y.yml", "i", {"A": "1", "B": "c"}),
        ("y.yml", "i", {"A": "2", "B": "c"}),
    ]
    assert all(build.ignore_failure for build in read.builds)
    assert len({build.identifier for build in read.builds}) == 4


def test_a_fan_out_numbers_its_builds() -> None:
    read = batch("build-fanout: {parallelism: 3}")

    assert [build.shard for build in read.builds] == [(0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fast-fail: true", "'batch' must have one of 'build-graph'"),
        ("build-list: [{identifier: a}]\nbuild-graph: []", "must have one of"),
        ("build-list: [{}]", "3:"),
        ("build-list: [{identifier: a}, {identifier: a}]", "two builds have"),
        (
            "build-graph: [{identifier: web}, {identifier: b, depend-on: [wbe]}]",
            "no build is called 'wbe'; did you mean 'web'?",
        ),
        (
            "build-graph: [{identifier: a, depend-on: b}, "
            + "{identifier: b, depend-on: a}]",
            "in a circle: 'a' or 'b'",
        ),
        ("build-fanout: {parallelism: many}", "needs 'parallelism'"),
        ("build-fanout: {parallelism: 101}", "at most 100 builds"),
        (
            "build-matrix: {dynamic: {env: {variables: "
            + f"{{A: {list(range(11))}, B: {list(range(11))}}}}}}}}}",
            "at most 100 builds",
        ),
    ],
)
def test_batches_that_cannot_be_run_are_refused(text: str, says: str) -> None:
    assert says in refusal(text)
