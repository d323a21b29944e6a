"""An execution again, exactly as it was (a force-push or a deleted branch included)."""

from typing import Any


def test_a_rerun_keeps_revision_definition_and_variables(project: Any) -> None:
    project.define()
    project.deliver("run", "--local")
    project.define("  Approve: {actions: {ok: {uses: approval/manual}}}")
    project.commit("newer")

    code, said = project.deliver("rerun", "shop", "1", "--local")

    assert code == 0, said
    first, again = (project.ledger.executions.find("shop", n) for n in (1, 2))
    assert again.trigger == "re-run of #1"
    assert again.revisions == first.revisions
    assert again.definition.digest == first.definition.digest
    assert project.served("staging") == "hello"


def test_a_commit_that_is_gone_fails_a_rerun_and_nothing_newer_runs(
    project: Any,
) -> None:
    project.define()
    project.commit("lost")
    project.deliver("run", "--local")
    project.git("reset", "-q", "--hard", "HEAD~1")
    project.commit("forced")
    project.git("reflog", "expire", "--expire=now", "--all")
    project.git("gc", "-q", "--prune=now")

    code, said = project.deliver("rerun", "shop", "1", "--local")

    assert code == 1
    assert "is gone from" in said
    assert project.served("staging") == "lost"


def test_what_never_found_its_source_is_not_run_again(project: Any) -> None:
    project.define()
    text = (project.folder / "delivery.yaml").read_text()
    wrong = text.replace("branch: main", "branch: none")
    (project.folder / "delivery.yaml").write_text(wrong)
    project.deliver("run", "--local")

    code, said = project.deliver("rerun", "shop", "1", "--local")

    assert code == 1
    assert "has no revision of source 'app'" in said
