"""One execution whole, and two side by side."""

import json
import shutil
from typing import Any

from promoted_shop import PRODUCTION

WAIT = ("--local", "--no-wait-approval")


def test_show_tells_every_wait_vote_override_attempt_and_rollout(project: Any) -> None:
    project.define(PRODUCTION)
    wall = project.folder / ".home" / "wall"
    project.deliver("run", *WAIT)
    wall.touch()
    project.deliver("approve", "-m", "go", "--local", person="bob")
    project.deliver("override", "shop", "1", "Production", "-m", "urgent")
    project.deliver("retry", "shop", "--local")

    code, text = project.deliver("show", "shop", "1")
    _, said = project.deliver("show", "shop", "1", "-o", "json")
    data = json.loads(said)

    assert code == 0
    assert "bob approved" in text
    assert "before_entry overridden by ann: urgent" in text
    assert "(ended): retried by ann" in text
    assert "ann overrode before_entry in Production: urgent" in text
    assert "✗ before_entry: open" in text
    assert "shop/production: forward to shop #1" in text
    assert "journal: prepare" in text
    [vote] = data["votes"]
    assert (vote["person"], vote["approved"], vote["comment"]) == ("bob", True, "go")
    [wait] = data["waits"]
    assert (wait["stage"], wait["kind"]) == ("Production", "ended")
    waiting = data["timing"]["stages"]["Production"]["waiting"]
    assert waiting["ended"] > 0
    assert data["timing"]["stages"]["Approve"]["waiting"]["approval"] > 0
    assert data["timing"]["critical_path"][0]["stage"] == "Source"
    assert data["timing"]["critical_path"][-1]["name"] == "deploy"
    assert data["snapshot"]["pipeline"] == "shop"
    assert [rollout["environment"] for rollout in data["rollouts"]] == [
        "shop/staging",
        "shop/production",
    ]
    assert data["audit"][0]["verb"] == "start execution"


def test_history_is_narrowed_by_status_and_time(project: Any) -> None:
    project.define()
    project.deliver("run", "--local")
    text = (project.folder / "delivery.yaml").read_text()
    (project.folder / "delivery.yaml").write_text(text.replace("main", "none"))
    project.deliver("run", "--local")

    def numbers(*words: str) -> list[int]:
        _, said = project.deliver("history", "shop", "-o", "json", *words)
        return [execution["number"] for execution in json.loads(said)]

    assert numbers() == [2, 1]
    assert numbers("--status", "failed") == [2]
    assert numbers("--status", "failed", "--status", "succeeded") == [2, 1]
    assert numbers("--status", "stopped", "--since", "1h") == []
    assert numbers("--since", "1h", "-n", "1") == [2]
    assert numbers("--since", "2999-01-01") == []
    assert project.deliver("history", "--since", "soon")[0] == 1


def test_compare_tells_commits_files_and_times(project: Any) -> None:
    project.define()
    project.deliver("run", "--local")
    (project.folder / "more").write_text("more")
    newer = project.commit("newer")
    project.deliver("run", "--local")
    project.deliver("promote", "shop", "staging", "display", "--local")

    def compared(*words: str) -> Any:
        code, said = project.deliver("compare", "shop", *words, "-o", "json")
        assert code == 0, said
        return json.loads(said)

    forth, back, promoted = compared("1", "2"), compared("2", "1"), compared("2", "3")
    _, text = project.deliver("compare", "shop", "#1", "#2")
    shutil.rmtree(project.folder / ".git")
    shutil.rmtree(project.folder / ".home" / "artifacts")
    unread = compared("1", "2")

    [source] = forth["sources"]
    assert [commit["commit"] for commit in source["added"]] == [newer]
    assert (source["removed"], source["unknown"]) == ([], None)
    assert [commit["commit"] for commit in back["sources"][0]["removed"]] == [newer]
    [artifact] = forth["artifacts"]
    assert (artifact["added"], artifact["changed"]) == (["more"], ["greeting"])
    assert back["artifacts"][0]["removed"] == ["more"]
    assert forth["stages"]["Staging"]["after"]["running"] > 0
    assert promoted["sources"] == promoted["artifacts"] == []
    assert any("Promote-display" in line for line in promoted["definition"])
    assert f"  + {newer[:10]} newer (Ann)" in text
    assert "definition: the same" in text
    assert "    + more" in text
    assert unread["sources"][0]["after"] == newer
    assert unread["sources"][0]["unknown"]
    assert unread["artifacts"][0]["unknown"]


def test_compare_needs_two_executions_that_there_are(project: Any) -> None:
    project.define()
    project.deliver("run", "--local")

    code, said = project.deliver("compare", "shop", "1")
    missing, told = project.deliver("compare", "shop", "1", "7")

    assert (code, missing) == (1, 1)
    assert "name two executions" in said
    assert "has no execution #7" in told
