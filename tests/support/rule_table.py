"""Writes docs/codepipeline-differences.md: CodePipeline's rules, and where we differ.

Each test in tests/unit/engine/test_codepipeline_*.py is about one rule. The first
paragraph of its docstring is the rule; a second one says how we differ, and why.

    .venv/bin/python tests/support/rule_table.py
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "unit" / "engine"
PAGE = ROOT / "docs" / "codepipeline-differences.md"
AREAS = {
    "modes": "Execution modes",
    "transitions": "Transitions",
    "stop": "Stopping",
    "retry": "Retrying a stage",
    "rollback": "Rolling a stage back",
    "conditions": "Conditions and rules",
    "approval": "Manual approvals",
}


@dataclass(frozen=True)
class Rule:
    """A rule of CodePipeline's.

    Attributes:
        differs: How we differ and why; empty where we do not.
    """

    area: str
    test: str
    rule: str
    differs: str


def rules() -> Iterator[Rule]:
    """All rules that have a test, in order."""
    for area in AREAS:
        tree = ast.parse((TESTS / f"test_codepipeline_{area}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = ast.get_docstring(node)
                assert said, f"{node.name} names no rule"
                rule, _, differs = said.partition("\n\n")
                words = (" ".join(text.split()) for text in (rule, differs))
                yield Rule(area, node.name, *words)


def rendered() -> str:
    """The page."""
    found = [*rules()]
    lines = [HEAD.rstrip(), "", "## Where we differ on purpose"]
    for area, title in AREAS.items():
        lines += [
            "",
            f"### {title}",
            "",
            "| CodePipeline | here | test |",
            "|---|---|---|",
        ]
        lines += [
            f"| {each.rule} | {each.differs} | {_link(each)} |"
            for each in found
            if each.area == area and each.differs
        ]
    lines += ["", "## What is the same"]
    for area, title in AREAS.items():
        lines += ["", f"### {title}", ""]
        lines += [
            f"- {each.rule} {_link(each)}"
            for each in found
            if each.area == area and not each.differs
        ]
    return "\n".join(lines) + "\n"


def _link(rule: Rule) -> str:
    file = f"../tests/unit/engine/test_codepipeline_{rule.area}.py"
    return f"[`{rule.test}`]({file})"


HEAD = """\
# CodePipeline's rules, and ours

How executions meet, wait, stop, are retried, rolled back and approved follows AWS
CodePipeline. Each of its rules has a test that bears its name. This page is made of
those tests by `tests/support/rule_table.py`; change them, not it.
"""

if __name__ == "__main__":
    PAGE.write_text(rendered())
