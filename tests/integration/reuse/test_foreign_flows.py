"""docs/reuse-tasks.md, snippet by snippet: each runs alone in a flow of its own."""

import re
from pathlib import Path
from typing import Any

import pytest
from git_http import GitServer
from pages import Pages
from prefect import flow, task

from prefect_delivery.actions import Artifact, Outputs
from prefect_delivery.definition.catalogue import Catalogue

PAGE = (Path(__file__).parents[3] / "docs/reuse-tasks.md").read_text()
SNIPPETS = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
ACTIONS = [name for name in SNIPPETS if "/" in name]


def in_a_flow(snippet: str, **given: Any) -> dict[str, Any]:
    """Run a snippet as the body of a flow; the names that it leaves."""
    names = dict(given)

    @flow(name="foreign")
    def foreign() -> None:
        exec(SNIPPETS[snippet], names)

    foreign()
    return names


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_runs_alone_in_a_flow(
    action: str,
    prefect_server: None,
    orders: str,
    git_server: GitServer,
    work: Path,
    tmp_path: Path,
) -> None:
    assert action in Catalogue.load().actions
    url = git_server.publish(work, tmp_path.name)
    with Pages() as pages:
        pages.texts["/"] = "Hello"

        left = in_a_flow(
            action,
            url=url,
            source=Artifact.of(work),
            site=Artifact.of(work, ["index.html"]),
            root=tmp_path,
            page=f"{pages.url}/",
        )

    outputs = [value for value in left.values() if isinstance(value, Outputs)]
    assert len(outputs) == 1
    assert not outputs[0].waiting
    if action.startswith("build/"):
        left["site"].unpack(tmp_path / "built")
        assert [*(tmp_path / "built").rglob("index.html")]
    if action == "source/git":
        assert re.fullmatch("[0-9a-f]{40}", left["commit"])
    if action == "deploy/environment":
        assert (tmp_path / "current/index.html").read_text() == "Hello\n"


def test_a_release_is_taken_back_when_something_later_fails(
    prefect_server: None, work: Path, tmp_path: Path
) -> None:
    @task
    def smoke_test(root: Path) -> None:
        if "smoke" in (root / "current/index.html").read_text():
            raise ValueError("it smokes")

    site = tmp_path / "site"
    given = {"root": site, "smoke_test": smoke_test}
    in_a_flow("transaction", site=Artifact.of(work, ["index.html"]), **given)
    (work / "index.html").write_text("smoke\n")

    with pytest.raises(ValueError, match="it smokes"):
        in_a_flow("transaction", site=Artifact.of(work, ["index.html"]), **given)

    assert (site / "current/index.html").read_text() == "Hello\n"
