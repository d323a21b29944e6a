"""Every rule of a definition, each broken once in an otherwise right definition."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from prefect_delivery.definition import load, load_file
from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.errors import DefinitionError, Problem


def problems_of(text: str, catalogue: Catalogue) -> list[Problem]:
    with pytest.raises(DefinitionError) as caught:
        load(text, file="delivery.yaml", catalogue=catalogue)
    return caught.value.problems


WRONG = YAML(typ="safe").load(Path(__file__).with_name("wrong.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [pytest.param(*case.values(), id=name) for name, case in WRONG.items()],
)
def test_what_is_wrong_is_named_at_its_place(
    old: str,
    new: str,
    at: str,
    message: str,
    shop: str,
    catalogue: Catalogue,
) -> None:
    assert old in shop
    text = shop.replace(old, new, 1)

    problems = {problem.message: problem for problem in problems_of(text, catalogue)}

    assert message in problems
    problem = problems[message]
    assert problem.text[problem.column - 1 :][: problem.width] == at


def test_problems_of_all_kinds_are_named_together_in_the_order_of_the_text(
    shop: str, catalogue: Catalogue
) -> None:
    text = (
        shop.replace("kind: host", "kind: hots")
        .replace("url:", "urll:")
        .replace("uses: build/commands", "uses: build/commands\n        timout: 3")
        .replace("inputs: site", "inputs: sight")
    )

    messages = [problem.message for problem in problems_of(text, catalogue)]

    assert messages == [
        "environment 'production': unknown kind 'hots'; did you mean 'host'?",
        "'url' is missing in action 'Source / app'",
        "unknown key 'urll' in action 'Source / app'; did you mean 'url'?",
        "unknown key 'timout' in action 'Build / package'; did you mean 'timeout'?",
        "no action leaves the artifact 'sight'; did you mean 'site'?",
    ]


def test_a_wrong_shape_does_not_hide_wrong_configurations(
    shop: str, catalogue: Catalogue
) -> None:
    text = shop.replace("pipeline: shop", "pipeline: 5").replace("url:", "urll:")

    messages = [problem.message for problem in problems_of(text, catalogue)]

    assert messages[0].startswith("'pipeline' must be text")
    assert (
        "unknown key 'urll' in action 'Source / app'; did you mean 'url'?" in messages
    )


def test_a_parallel_pipeline_does_not_roll_back(
    shop: str, catalogue: Catalogue
) -> None:
    text = "mode: parallel\n" + shop.replace(
        "  Build:\n", "  Build:\n    on_failure: {result: rollback}\n"
    )

    [problem] = problems_of(text, catalogue)

    assert problem.message == "a parallel pipeline has no last success to roll back to"
    assert problem.line == 12


def test_a_wrong_need_is_not_followed_by_what_follows_from_it(
    shop: str, catalogue: Catalogue
) -> None:
    text = shop.replace("  Build:\n", "  Build:\n    needs: [Sauce]\n")

    assert [problem.message for problem in problems_of(text, catalogue)] == [
        "no stage 'Sauce'; did you mean 'Source'?"
    ]


BRING = "{actions: {s: {uses: source/git, with: {url: x}}}}"
ASK = "{actions: {a: {uses: approval/manual}}}"


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            f"{{A: {BRING}}}",
            "a pipeline needs two stages or more: sources first, then the work",
        ),
        (
            f"{{A: {ASK}, B: {ASK}}}",
            "no source: the first stage needs an action such as source/git",
        ),
        (
            f"{{A: {BRING}, B: {BRING}}}",
            "nothing but sources: a later stage needs something to do",
        ),
    ],
)
def test_a_pipeline_brings_something_and_does_something(
    stages: str, message: str, catalogue: Catalogue
) -> None:
    problems = problems_of(f"pipeline: x\nstages: {stages}", catalogue)

    assert message in [problem.message for problem in problems]


def test_a_variable_may_stand_where_a_single_value_is_wanted(
    shop: str, catalogue: Catalogue
) -> None:
    text = shop.replace(
        "commands: [",
        'timeout: "#{variables.greeting}", shell: "#{app.branch}", commands: [',
    )

    assert load(text, catalogue=catalogue)


def test_a_variable_may_not_stand_where_a_list_is_wanted(
    shop: str, catalogue: Catalogue
) -> None:
    text = shop.replace('["make dist"]', '"#{variables.greeting}"')

    [problem] = problems_of(text, catalogue)

    assert problem.message == "'commands' must be a list, not text"


def test_an_action_that_declares_no_variables_may_set_any(
    shop: str, catalogue: Catalogue
) -> None:
    text = shop.replace("environment: production}}", 'environment: "#{package.any}"}}')

    assert load(text, catalogue=catalogue)


def test_a_name_that_two_actions_share_cannot_be_referred_to(
    shop: str, catalogue: Catalogue
) -> None:
    text = shop + (
        "  Next:\n    actions:\n      deploy: {uses: deploy/environment, inputs: site,"
        ' with: {environment: "#{deploy.url}"}}\n'
    )

    [problem] = problems_of(text, catalogue)

    assert problem.message == (
        "#{deploy.url} may mean 'Production / deploy' or 'Next / deploy'; "
        "give one of them a 'namespace'"
    )


def test_an_environment_that_is_not_defined_here_may_be_a_saved_block(
    shop: str, catalogue: Catalogue
) -> None:
    text = shop.replace("environment: production", "environment: elsewhere")

    assert load(text, catalogue=catalogue)


def test_the_message_shows_the_line_and_the_next_command(
    shop: str, catalogue: Catalogue
) -> None:
    text = shop.replace("url:", "urll:").replace('".", branch', '".", url: x, branch')

    with pytest.raises(DefinitionError) as caught:
        load(text, file="delivery.yaml", catalogue=catalogue)

    assert str(caught.value) == (
        "delivery.yaml:9:38: unknown key 'urll' in action 'Source / app'; "
        "did you mean 'url'?\n"
        '    9 |       app: {uses: source/git, with: {urll: ".", url: x, branch: main}}\n'
        "      |                                      ^^^^\n"
        "see: deliver schema source/git"
    )


def test_a_file_that_is_not_there_is_one_clear_problem(tmp_path: Path) -> None:
    file = tmp_path / "delivery.yaml"

    with pytest.raises(DefinitionError) as caught:
        load_file(file)

    assert str(caught.value) == f"{file}: there is no such file\nsee: deliver init"


def test_a_file_that_is_no_text_is_one_clear_problem(tmp_path: Path) -> None:
    file = tmp_path / "delivery.yaml"
    file.write_bytes(b"pipeline: \xff")

    with pytest.raises(DefinitionError, match=r"not UTF-8 text \(byte 10\)"):
        load_file(file)


def test_a_folder_is_one_clear_problem(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="cannot be read: is a directory"):
        load_file(tmp_path)


def test_text_is_never_taken_for_a_path(tmp_path: Path) -> None:
    file = tmp_path / "delivery.yaml"
    file.write_text("secret: text")

    with pytest.raises(DefinitionError) as caught:
        load(str(file))

    assert "must be a mapping" in str(caught.value)
    assert "secret" not in str(caught.value)
