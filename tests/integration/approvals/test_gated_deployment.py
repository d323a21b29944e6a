"""Approving by `deliver approve`, and what the gates of an environment let in."""

import json
from typing import Any

LEADS = "{groups: {leads: {people: [bob, cid@shop.example], count: 2}}}"


def test_two_leads_approve_and_what_they_approved_is_deployed(project: Any) -> None:
    project.define(LEADS)
    waiting = project.run()

    mine = project.deliver("bob", "approvals", "-o", "json")
    refused = project.deliver("ann", "approve", "--local")
    first = project.deliver("bob", "approve", "--local", "-m", "looks good")
    status = project.deliver("ann", "status", "shop")
    served_before = project.served
    none_left = project.deliver("bob", "approvals")
    second = project.deliver("cid", "approve", "--local")

    assert waiting.returncode == 5, waiting.stdout + waiting.stderr
    [view] = json.loads(mine.stdout)
    assert view["environment"] == "shop/production"
    assert view["missing"][0]["people"] == ["bob", "cid@shop.example"]
    assert sorted(view["artifacts"]) == ["app", "site"]
    assert view["commits"][0]["author"] == "Ann <ann@shop.example>"
    assert refused.returncode == 1
    assert "ann may not decide on shop #1 / Approve / ok" in refused.stderr
    assert first.returncode == 5, first.stderr
    assert "still missing: 1 of shop/production: leads (cid@shop.exa" in first.stdout
    assert "approved: bob: looks good" in status.stdout
    assert "missing: 1 of shop/production: leads (cid@shop.example)" in status.stdout
    assert served_before is None
    assert none_left.stdout == "nothing waits for bob\n"
    assert second.returncode == 0, second.stdout + second.stderr
    assert project.served == "hello"


def test_every_author_since_the_release_that_runs_is_kept_from_approving(
    project: Any,
) -> None:
    project.define("{approvers: [bob, cid, dan, eve, fay]}")
    project.run()
    project.deliver("bob", "approve", "--local")
    project.commit("By Bob", "--author=B <bob@home.example>", greeting="one")
    project.commit("Pair\n\nCo-authored-by: Cid <cid@x.example>", greeting="two")
    project.commit("Last", greeting="three")
    waiting = project.run("dan")

    by_author = project.deliver("bob", "approve", "shop", "2", "--local")
    by_helper = project.deliver("cid", "approve", "shop", "2", "--local")
    by_starter = project.deliver("dan", "approve", "shop", "2", "--local")
    served_before = project.served
    by_another = project.deliver("eve", "approve", "shop", "2", "--local")

    assert waiting.returncode == 5, waiting.stdout + waiting.stderr
    for refused in (by_author, by_helper, by_starter):
        assert refused.returncode == 1
        assert "wrote or started it" in refused.stderr
        assert "waits for 1 of shop/production: approvers (eve, fay)" in refused.stderr
    shown = by_another.stdout
    assert "goes to: shop/production, which runs shop #1" in shown
    assert [w for w in ("By Bob", "Pair", "Last", "Define") if w in shown] == [
        "By Bob",
        "Pair",
        "Last",
    ]
    assert served_before == "hello"
    assert project.served == "three"


def test_a_pipeline_that_asks_nobody_deploys_nothing_to_a_gated_environment(
    project: Any,
) -> None:
    project.define(LEADS, approval=ECHO)
    without = project.run()
    project.define(LEADS, approval="ok: {uses: approval/manual}")
    project.run()
    unnamed = project.deliver("bob", "approve", "shop", "2", "--local")

    wanted = "shop/production needs an approval that names it"
    assert without.returncode == 1
    assert wanted in project.ledger.executions.find("shop", 1).reason, without.stdout
    assert unnamed.returncode == 1
    assert wanted in project.ledger.executions.find("shop", 2).reason
    assert project.served is None


def test_only_what_is_on_an_allowed_branch_is_deployed(project: Any) -> None:
    project.define("{branches: [main, 'release/*']}", approval=ECHO)
    first = project.run()
    project.git("checkout", "-q", "-b", "topic")
    project.commit("Not merged", greeting="topic")
    pinned = project.deliver(
        *("starter", "run", "--local", "--source", f"app={head(project)}")
    )
    served_before = project.served
    project.git("branch", "release/1")
    project.commit("Goes on", greeting="later")
    merged = project.deliver(
        *("starter", "run", "--local", "--source", f"app={head(project, 'HEAD~1')}")
    )

    assert first.returncode == 0, first.stdout + first.stderr
    assert pinned.returncode == 1
    assert "takes only branches main, release/*" in pinned.stdout
    assert served_before == "hello"
    assert merged.returncode == 0, merged.stdout + merged.stderr
    assert project.served == "topic"


def test_a_rollback_passes_the_gates_with_what_was_there_before(project: Any) -> None:
    project.define("{approvers: [bob]}")
    project.run()
    project.deliver("bob", "approve", "--local")
    project.commit("Second", greeting="second")
    project.run()
    project.deliver("bob", "approve", "shop", "2", "--local")
    served_before = project.served

    back = project.deliver("ann", "rollback", "shop", "Release", "--to", "1", "--local")

    assert served_before == "second"
    assert back.returncode == 0, back.stdout + back.stderr
    assert project.served == "hello"


def test_a_gate_may_keep_other_pipelines_out(project: Any) -> None:
    project.define("{pipelines: ['web-*']}", approval=ECHO)

    kept_out = project.run()

    assert "takes nothing from pipeline 'shop'" in kept_out.stdout
    assert project.served is None


ECHO = "ok: {uses: build/commands, with: {commands: ['true']}}"


def head(project: Any, name: str = "HEAD") -> str:
    import subprocess

    command = ["git", "rev-parse", name]
    done = subprocess.run(
        command, cwd=project.folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
