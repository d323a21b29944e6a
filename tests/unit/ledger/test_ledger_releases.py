from collections.abc import Callable

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import ArtifactRef, Carried, Status
from prefect_delivery.ledger import Attempt, Ledger, Release

MakeRelease = Callable[[str], Release]
Deploy = Callable[..., str]


def test_the_same_content_is_the_same_release(ledger: Ledger, shop: Pipeline) -> None:
    one, two = (
        ledger.executions.start(shop, variables={}, started_by="ann") for _ in "12"
    )

    def release(execution_id: str, **changes: str) -> Release:
        return ledger.releases.create(
            pipeline="shop",
            execution_id=execution_id,
            artifact=ArtifactRef(digest="a", size=7),
            revisions={"app": "c0ffee", "lib": "beef"},
            definition_digest=shop.digest,
            variables={"greeting": "hi"} | changes,
        )

    first = release(one.id)
    assert first.number == 1
    assert first == release(two.id) == ledger.releases.get(first.digest)
    assert release(one.id, greeting="bye").digest != first.digest


def test_the_current_release_is_the_last_one_committed(
    ledger: Ledger, make_release: MakeRelease, deploy: Deploy
) -> None:
    a, b, c = map(make_release, "abc")
    assert ledger.releases.current("production") is None

    deploy(a)
    deploy(b)
    deploy(c, "rolled-back")

    assert ledger.releases.current("production") == b
    assert ledger.releases.previous("production") == a
    assert ledger.releases.list("production") == [b, a]
    assert ledger.releases.current("staging") is None
    assert ledger.releases.list("staging") == []


def test_a_second_rollback_goes_further_back_and_not_forth(
    ledger: Ledger, make_release: MakeRelease, deploy: Deploy
) -> None:
    a, b, c = map(make_release, "abc")
    for release in (a, b, c):
        deploy(release)

    deploy(b, kind="rollback")
    assert ledger.releases.previous("production") == a
    deploy(a, kind="rollback")
    assert ledger.releases.previous("production") is None
    ledger.quarantine.lift("production", c.digest, by="ann", reason="mended")
    deploy(c)

    assert ledger.releases.previous("production") == a
    assert ledger.releases.list("production") == [c, a, b]


def test_a_release_deployed_twice_is_not_its_own_previous_one(
    ledger: Ledger, make_release: MakeRelease, deploy: Deploy
) -> None:
    a, b = map(make_release, "ab")
    for release in (a, b, b):
        deploy(release)

    assert ledger.releases.previous("production") == a


def test_a_release_that_comes_back_by_a_normal_deploy_has_the_last_one_before_it(
    ledger: Ledger, make_release: MakeRelease, deploy: Deploy
) -> None:
    a, b = map(make_release, "ab")
    for release in (a, b, a):
        deploy(release)

    assert ledger.releases.previous("production") == b


def test_what_a_rollback_may_need_is_pinned(
    ledger: Ledger, make_release: MakeRelease, deploy: Deploy
) -> None:
    a, b, c, d = map(make_release, "abcd")
    for release in (a, b, c):
        deploy(release)
    deploy(a, environment="staging")
    deploy(d, "open")

    assert ledger.releases.pinned(keep=2) == {"a", "b", "c", "d"}
    assert ledger.releases.pinned(keep=1) == {"a", "c", "d"}


def test_what_an_execution_may_need_is_pinned(
    ledger: Ledger, shop: Pipeline, attempt: Attempt
) -> None:
    executions = ledger.executions
    executions.enter_stage(attempt, "Source")
    executions.begin_action(attempt, "Source", "run", 1)
    executions.end_action(
        attempt,
        "Source",
        "run",
        1,
        Status.SUCCEEDED,
        artifacts={"app": ArtifactRef(digest="a", size=1)},
    )
    open_one = ledger.releases.pinned()
    executions.end(attempt, Status.FAILED)
    latest = ledger.releases.pinned()
    carried = Carried(execution="x", artifacts={"app": ArtifactRef(digest="b", size=1)})
    executions.start(shop, variables={}, started_by="bob", carried=carried)

    assert open_one == latest == {"a"}
    assert ledger.releases.pinned() == {"b"}
