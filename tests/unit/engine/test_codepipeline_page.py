"""The page of CodePipeline's rules tells what the tests say."""

from rule_table import AREAS, PAGE, TESTS, rendered, rules


def test_the_page_lists_the_rules_that_are_tested() -> None:
    page = PAGE.read_text()

    assert page == rendered(), "run: .venv/bin/python tests/support/rule_table.py"
    for rule in rules():
        assert page.count(f"[`{rule.test}`]") == 1, rule.test


def test_every_file_of_rules_is_on_the_page() -> None:
    files = {path.stem for path in TESTS.glob("test_codepipeline_*.py")}

    assert files - {"test_codepipeline_page"} == {
        f"test_codepipeline_{area}" for area in AREAS
    }
