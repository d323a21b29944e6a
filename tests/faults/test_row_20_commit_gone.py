"""Row 20: the branch is rewritten or deleted, and the old commit removed, while an
execution waits; or before one that is pinned to that commit starts.

An execution that has its source keeps it: the artifact is in the store, and it builds
that commit. One that has not fails and names the commit. Neither takes a newer one.

pytest tests/faults/test_row_20_commit_gone.py -k "seed17-"
"""

import random

from projects import APPROVAL, Project
from seeds import seeded

from prefect_delivery import control
from prefect_delivery.engine.state import Status


@seeded()
def test_an_execution_never_takes_a_newer_commit(project: Project, seed: str) -> None:
    chance = random.Random(seed)
    (project.folder / "version").write_text("old")
    project.publish(before={"ok": APPROVAL}, greeting="$(cat version)")
    pinned = project.git("rev-parse", "HEAD")
    waiting = project.run()
    assert waiting.status is Status.WAITING

    lose_the_commit(project, chance)
    control.approve(project.ledger, "shop", by="bob")
    ended = project.run(waiting)
    late = project.run(project.start(revisions={"app": pinned}))

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert ended.revisions == {"app": pinned}
    assert project.served == "old"
    assert late.status is Status.FAILED
    assert pinned[:10] in (late.reason or "")
    assert list(late.stages) == ["Source"]
    project.audit()


def lose_the_commit(project: Project, chance: random.Random) -> None:
    """Put something newer in the place of the commit, and remove it for good."""
    (project.folder / "version").write_text("new")
    project.git("add", "-A")
    if chance.random() < 0.5:
        project.git("commit", "-q", "--amend", "-m", "rewritten")
    else:
        project.git("checkout", "-q", "--orphan", "other")
        project.git("commit", "-q", "-m", "another history")
        project.git("branch", "-q", "-D", "main")
        if chance.random() < 0.5:
            project.git("branch", "-q", "-m", "main")
    project.git("reflog", "expire", "--expire=now", "--all")
    project.git("gc", "-q", "--prune=now")
