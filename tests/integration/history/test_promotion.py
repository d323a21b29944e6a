"""What runs in one environment goes to another, through all its gates."""

from typing import Any

from promoted_shop import PRODUCTION

WAIT = ("--local", "--no-wait-approval")


def test_a_promotion_asks_the_target_s_approvers_and_deploys_the_same_bytes(
    project: Any,
) -> None:
    project.define()
    project.deliver("run", *WAIT)

    asked, said = project.deliver("promote", "shop", "staging", "production", *WAIT)
    before = project.served("production")
    by_starter, _ = project.deliver("approve", "--local")
    by_bob, told = project.deliver("approve", "--local", person="bob")

    assert asked == 5, said
    assert "promoting shop #1 from staging to production" in said
    assert before is None
    assert by_starter == 1
    assert by_bob == 0, told
    assert project.served("production") == "hello"
    found = project.ledger
    promotion = found.executions.find("shop", 2)
    assert promotion.trigger == "promotion"
    first, second = (
        found.releases.current(f"shop/{name}") for name in ("staging", "production")
    )
    assert first.artifact == second.artifact
    assert first.revisions == second.revisions
    [entry] = found.audit.entries(1000, subject="shop #2")[-1:]
    assert entry.detail["promoted_from"] == "shop/staging"


def test_the_stage_that_deploys_there_keeps_its_conditions_and_approvals(
    project: Any,
) -> None:
    project.define(PRODUCTION)
    project.deliver("run", *WAIT)
    project.deliver("stop", "shop", "1")
    (project.folder / ".home" / "wall").touch()

    asked, said = project.deliver("promote", "shop", "staging", "production", *WAIT)
    refused, told = project.deliver("approve", "shop", "2", "--local", person="bob")

    assert asked == 5, said
    assert refused == 1
    assert "before_entry: open" in told
    assert project.served("production") is None
    execution = project.ledger.executions.find("shop", 2)
    assert execution.only == ("Approve", "Production")
    assert execution.definition == project.ledger.executions.find("shop", 1).definition


def test_an_older_release_replaces_a_newer_one_only_when_that_is_said(
    project: Any,
) -> None:
    project.define()
    project.deliver("run", "--local")
    project.commit("newer")
    project.deliver("run", "--local")
    project.deliver("promote", "shop", "staging", "display", "--local")
    older = ("promote", "shop", "staging", "display", "--release", "1", "--local")

    refused, said = project.deliver(*older)
    before = project.served("display")
    done, told = project.deliver(*older, "--older")

    assert refused == 1
    assert "shop/display runs shop #2, which is newer than shop #1" in said
    assert before == "newer"
    assert done == 0, told
    assert project.served("display") == "hello"
    entries = project.ledger.audit.entries(1000, subject="shop #4")
    assert entries[-1].detail["older"] is True


def test_what_cannot_be_promoted_is_refused_and_nothing_is_recorded(
    project: Any,
) -> None:
    project.define()
    project.deliver("run", "--local")
    project.commit("newer")
    project.deliver("run", "--local")
    project.deliver("rollback", "shop", "Staging", "--local")

    def refusal(*words: str) -> str:
        code, said = project.deliver("promote", "shop", *words, "--local")
        assert code == 1, said
        return str(said)

    assert "are the same environment" in refusal("staging", "staging")
    assert "there is no environment 'display'" in refusal("display", "production")
    assert "no environment 'moon'" in refusal("staging", "moon")
    assert "belongs to pipeline 'other'" in refusal("staging", "other/production")
    assert "was rolled back" in refusal("staging", "display", "--release", "2")
    assert project.ledger.executions.find("shop").number == 3


def test_two_promotions_at_once_go_to_two_environments(project: Any) -> None:
    project.define(PRODUCTION.replace("production", "mirror"))
    text = (project.folder / "delivery.yaml").read_text()
    mirror = "  mirror: {kind: host, root: ./production}\n"
    text = text.replace("stages:", mirror + "stages:", 1)
    (project.folder / "delivery.yaml").write_text(text)
    project.deliver("run", *WAIT)
    project.deliver("stop", "shop", "1")
    goals = ("display", "mirror")

    both = [
        project.command("ann", "promote", "shop", "staging", goal, *WAIT)
        for goal in goals
    ]
    said = [process.communicate() for process in both]
    approved, told = project.deliver("approve", "shop", *_waits(project), "--local")

    assert [process.returncode for process in both] == [0, 5], said
    assert approved == 0, told
    releases = [project.ledger.releases.current(f"shop/{goal}") for goal in goals]
    assert releases[0].artifact == releases[1].artifact
    assert project.served("display") == project.served("production") == "hello"


def _waits(project: Any) -> list[str]:
    return [
        str(execution.number)
        for execution in project.ledger.executions.list("shop", open_only=True)
    ]
