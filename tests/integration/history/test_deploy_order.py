"""What is older never replaces what is newer, and who may deploy while it cools down."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from host_shop import Shop, stop_everything

from prefect_delivery.actions import Artifact, Job
from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Carried
from prefect_delivery.errors import Refused
from prefect_delivery.ledger.environments import Environments
from prefect_delivery.ledger.rollouts import AUTOMATIC
from prefect_delivery.tasks.deploy.environment import deploy

DEFINITION = Pipeline.model_validate(
    {"pipeline": "shop", "stages": {"Source": {"actions": {"a": {"uses": "a/b"}}}}}
)
Deploy = Callable[[str, str], object]
Start = Callable[..., str]


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def site(shop: Shop) -> Iterator[HostEnvironment]:
    made = shop.host(service=None)
    yield made
    stop_everything(made)


@pytest.fixture
def start(shop: Shop) -> Start:
    """Id of a new execution of the pipeline."""

    def begin(trigger: str = "manual", **carried: Any) -> str:
        return shop.ledger.executions.start(
            DEFINITION,
            variables={},
            started_by="ann",
            trigger=trigger,
            carried=Carried(**carried) if carried else None,
        ).id

    return begin


@pytest.fixture
def bring(shop: Shop, site: HostEnvironment) -> Deploy:
    """Deploy a version for an execution."""

    def to_site(version: str, execution: str) -> object:
        made = shop.release(version).artifact
        artifact = Artifact(digest=made.digest, size=made.size)
        return deploy.fn(artifact, site, job=Job(execution=execution))

    return to_site


def shown(site: HostEnvironment) -> str:
    return (site.root / "current" / "version").read_text()


def test_what_is_overtaken_on_its_way_to_the_environment_is_refused(
    site: HostEnvironment,
    start: Start,
    bring: Deploy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = start()
    bring("one", first)
    second = start()
    promotion = start("promotion", execution=first, purpose="promotion")
    register, overtaking = Environments.register, [second]

    def overtaken(self: Environments, *given: Any, **more: Any) -> Any:
        # Right before the promotion asks for the lease, the newer execution has it.
        if overtaking:
            bring("two", overtaking.pop())
        return register(self, *given, **more)

    monkeypatch.setattr(Environments, "register", overtaken)

    with pytest.raises(Refused, match="runs shop #2, which is newer than shop #1"):
        bring("one", promotion)

    assert shown(site) == "two"


def test_what_was_under_way_before_a_rollback_does_not_come_in_after_it(
    site: HostEnvironment, start: Start, bring: Deploy
) -> None:
    first = start()
    bring("one", first)
    under_way = start()
    bring("three", start())
    bring("one", start("rollback", execution=first))

    with pytest.raises(Refused, match="runs shop #4, which is newer than shop #2"):
        bring("two", under_way)

    assert shown(site) == "one"


def test_an_older_release_comes_in_where_somebody_has_said_so(
    site: HostEnvironment, start: Start, bring: Deploy
) -> None:
    first = start()
    bring("one", first)
    bring("two", start())

    bring("one", start("promotion", execution=first, purpose="promotion", older=True))

    assert shown(site) == "one"


def test_while_it_cools_down_only_what_a_person_asked_for_comes_in(
    site: HostEnvironment, start: Start, bring: Deploy
) -> None:
    first = start()
    bring("one", first)
    bring("two", start())
    bring("one", start(AUTOMATIC, execution=first))

    with pytest.raises(Refused, match="cools down until"):
        bring("three", start("push"))
    bring("three", start("re-run of #2"))

    assert shown(site) == "three"
