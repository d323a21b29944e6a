from collections.abc import Callable

import pytest
from sqlalchemy import event

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import (
    ArtifactRef,
    Carried,
    Execution,
    Status,
)
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger


def named(shop: Pipeline, name: str) -> Pipeline:
    return shop.model_copy(update={"pipeline": name})


def test_an_execution_comes_back_as_it_was_started(
    ledger: Ledger, shop: Pipeline
) -> None:
    carried = Carried(
        execution="old",
        artifacts={"site": ArtifactRef(digest="d" * 64, size=3_000_000_000)},
        variables={"app": {"commit": "c0ffee"}},
    )

    started = ledger.executions.start(
        shop,
        variables={"greeting": "grüß\0gott \udcff"},
        revisions={"app": "c0ffee"},
        trigger="push",
        started_by="ann",
        only=("Build",),
        carried=carried,
    )

    found = ledger.executions.get(started.id)
    assert found == started
    assert found.definition == shop
    assert found.definition.digest == shop.digest
    assert list(found.definition.stages) == ["Source", "Build", "Approve"]
    assert found.variables == {"greeting": "grüß\0gott \udcff"}
    assert (found.trigger, found.started_by) == ("push", "ann")
    assert found.only == ("Build",)
    assert found.carried == carried
    assert found.status is Status.IN_PROGRESS
    assert found.started.utcoffset() is not None


def test_executions_are_numbered_per_pipeline(ledger: Ledger, shop: Pipeline) -> None:
    pipelines = [shop, named(shop, "blog"), shop, shop, named(shop, "blog")]

    numbers = [
        ledger.executions.start(pipeline, variables={}, started_by="ann").title
        for pipeline in pipelines
    ]

    assert numbers == ["shop #1", "blog #1", "shop #2", "shop #3", "blog #2"]


def test_the_same_key_gives_the_same_execution(ledger: Ledger, shop: Pipeline) -> None:
    first = ledger.executions.start(shop, variables={}, started_by="hook", key="k")

    again = ledger.executions.start(shop, variables={}, started_by="hook", key="k")
    other = ledger.executions.start(
        named(shop, "blog"), variables={}, started_by="hook", key="k"
    )

    assert again == first
    assert other.id != first.id
    assert len(ledger.executions.list()) == 2


def test_an_edited_definition_does_not_disturb_an_execution(
    ledger: Ledger, shop: Pipeline, execution: Execution
) -> None:
    edited = shop.model_copy(update={"description": "edited"})
    ledger.executions.start(edited, variables={}, started_by="bob")

    assert ledger.executions.get(execution.id).definition == shop
    assert ledger.executions.find("shop").definition == edited


def test_the_latest_execution_or_one_by_number_is_found(
    ledger: Ledger, shop: Pipeline, execution: Execution
) -> None:
    second = ledger.executions.start(shop, variables={}, started_by="bob")

    assert ledger.executions.find("shop") == second
    assert ledger.executions.find("shop", 1) == execution
    with pytest.raises(Refused, match="pipeline 'shop' has no execution #3"):
        ledger.executions.find("shop", 3)
    with pytest.raises(Refused, match="pipeline 'blog' has no execution"):
        ledger.executions.find("blog")
    with pytest.raises(Refused, match="no execution nonsense"):
        ledger.executions.get("nonsense")


def test_the_list_is_newest_first_and_can_be_narrowed(
    ledger: Ledger, shop: Pipeline, pass_time: Callable[[float], None]
) -> None:
    for pipeline in (shop, named(shop, "blog"), shop):
        started = ledger.executions.start(pipeline, variables={}, started_by="ann")
        pass_time(1)
    attempt = ledger.executions.claim(started.id, holder="worker", ttl=30)
    ledger.executions.end(attempt, Status.SUCCEEDED)

    def titles(executions: list[Execution]) -> list[str]:
        return [execution.title for execution in executions]

    assert titles(ledger.executions.list()) == ["shop #2", "blog #1", "shop #1"]
    assert titles(ledger.executions.list("shop")) == ["shop #2", "shop #1"]
    assert titles(ledger.executions.list(limit=1)) == ["shop #2"]
    assert titles(ledger.executions.list(open_only=True)) == ["blog #1", "shop #1"]
    assert ledger.executions.pipelines() == ["blog", "shop"]


def test_twenty_executions_are_listed_with_three_queries(
    ledger: Ledger, shop: Pipeline
) -> None:
    for _ in range(20):
        started = ledger.executions.start(shop, variables={}, started_by="ann")
        attempt = ledger.executions.claim(started.id, holder="worker", ttl=30)
        ledger.executions.enter_stage(attempt, "Source")
        ledger.executions.begin_action(attempt, "Source", "run", 1)
    queries: list[str] = []
    event.listen(
        ledger._database.engine,
        "before_cursor_execute",
        lambda *args: queries.append(args[2]),
    )

    listed = ledger.executions.list(limit=20)

    assert len(listed) == 20
    assert all(len(execution.stages["Source"].actions) == 1 for execution in listed)
    assert len([query for query in queries if query.startswith("SELECT")]) == 3


def test_an_outside_id_is_noted_once(ledger: Ledger) -> None:
    assert ledger.executions.external_id("build/1") is None

    ledger.executions.note_external_id("build/1", "arn:1")
    ledger.executions.note_external_id("build/1", "arn:1")

    assert ledger.executions.external_id("build/1") == "arn:1"
    with pytest.raises(Refused, match="already stands for arn:1"):
        ledger.executions.note_external_id("build/1", "arn:2")
