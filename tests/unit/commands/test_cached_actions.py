"""Actions that are left out while nothing has changed that they depend on."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefect import Task

from prefect_delivery.actions import Artifact, Job, Outputs, Report, action
from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.definition.models import Action, CacheInputs, Pipeline, Stage
from prefect_delivery.engine.resolve import Call
from prefect_delivery.engine.state import ArtifactRef, Status
from prefect_delivery.errors import ActionFailed, ArtifactError, Refused
from prefect_delivery.flows import cached
from prefect_delivery.flows.cached import Kept, code_of, run_cached
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings as our_settings

SHOP = Pipeline(
    pipeline="shop",
    mode="parallel",
    stages={"Build": Stage(actions={"probe": Action(uses="build/probe")})},
)


@dataclass(frozen=True, kw_only=True)
class World:
    """All that an action may depend on; a string is content, a tuple has a mode too."""

    files: tuple[tuple[str, str | tuple[str, int]], ...] = (("src/a", "one"),)
    commands: tuple[str, ...] = ("make",)
    environment: tuple[tuple[str, str], ...] = ()
    secret: str = "swordfish"
    image: str | None = None
    version: str = "1"
    language: str = "C"
    wish: bool | tuple[str, ...] = True


CHANGES: list[dict[str, Any]] = [
    {},
    {"files": (("src/a", "two"),)},
    {"files": (("src/b", "one"),)},
    {"files": (("src/a", ("one", 0o755)),)},
    {"files": (("src/a", "one"), ("src/l", "-> a"))},
    {"files": (("src/a", "one"), ("src/l", "-> b"))},
    {"files": (("src/a", "one"), ("docs/a", "one"))},
    {"commands": ("make", "make")},
    {"commands": ("make all",)},
    {"environment": (("A", "1"),)},
    {"environment": (("A", "2"),)},
    {"environment": (("B", "1"),)},
    {"secret": "marlin-fish"},
    {"image": "sha256:1"},
    {"image": "sha256:2"},
    {"version": "2"},
    {"language": "de_DE"},
    {"wish": ("src/**",)},
    {"wish": ("src/a",)},
]


@dataclass
class Shop:
    """Runs an action that tells all that it sees, each time as a new execution."""

    ledger: Ledger
    folder: Path
    runs: int = 0
    log: list[str] = field(default_factory=list)

    def call(self, world: World) -> Call:
        tree = self.folder / "tree"
        rmtree(tree, ignore_errors=True)
        for name, value in world.files:
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text, mode = (value, 0o644) if isinstance(value, str) else value
            if text.startswith("-> "):
                path.symlink_to(text.removeprefix("-> "))
            else:
                path.write_text(text)
                path.chmod(mode)
        source = Artifact.of(tree)
        return Call(
            uses="build/probe",
            configuration={
                "commands": [*world.commands],
                "environment": dict(world.environment),
                "secrets": {"TOKEN": "env:SHOP_TOKEN"},
                "image": "builder:1" if world.image else None,
            },
            inputs={"source": ArtifactRef(digest=source.digest, size=source.size)},
        )

    def probe(self, world: World) -> Task[..., Any]:
        def look(
            source: Artifact, commands: list[str], environment: dict[str, str]
        ) -> Outputs:
            self.runs += 1
            place = self.folder / "seen"
            rmtree(place, ignore_errors=True)
            source.unpack(place)
            tree = [
                (
                    str(path.relative_to(place)),
                    str(path.readlink()) if path.is_symlink() else None,
                    path.lstat().st_mode,
                    path.read_text() if path.is_file() else None,
                )
                for path in sorted(place.rglob("*"))
            ]
            told = [commands, environment, os.environ["SHOP_TOKEN"], world.image]
            # A container is given none of the worker's variables.
            language = None if world.image else os.environ["LANG"]
            seen = json.dumps([tree, told, world.version, language])
            made = self.folder / "made"
            made.mkdir(exist_ok=True)
            (made / "seen").write_text(seen)
            out = Artifact.of(made)
            return Outputs(variables={"seen": seen}, artifacts={"out": out})

        return probe_of(look)

    def run(
        self, world: World, task: Task[..., Any] | None = None, **options: Any
    ) -> Outputs:
        """The outputs of the action as one execution records them."""
        executions = self.ledger.executions
        untrusted = options.pop("untrusted", False)
        begun = executions.start(
            SHOP, variables={}, started_by="ann", untrusted=untrusted
        )
        owner = executions.claim(begun.id, holder="here", ttl=60)
        executions.enter_stage(owner, "Build")
        executions.begin_action(owner, "Build", "probe", 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHOP_TOKEN", world.secret)
            patch.setenv("LANG", world.language)
            # An engine, and another version of us, would take seconds each.
            patch.setattr(cached, "image_id", lambda _: world.image)
            patch.setattr(cached, "code_of", lambda _: world.version)
            wish = world.wish
            outputs: Outputs = run_cached.fn(
                action=task or self.probe(world),
                call=self.call(world),
                wish=wish if isinstance(wish, bool) else CacheInputs(inputs=[*wish]),
                job=Job(pipeline="shop", log=self.log.append),
                memory=self.ledger.cache,
                untrusted=untrusted,
                fresh=options.pop("fresh", False),
            )
        executions.end_action(
            *(owner, "Build", "probe", 1),
            options.pop("status", Status.SUCCEEDED),
            summary=outputs.summary,
            link=outputs.link,
            artifacts={
                name: ArtifactRef(digest=each.digest, size=each.size)
                for name, each in outputs.artifacts.items()
            },
            variables=outputs.variables,
            reports=[asdict(report) for report in outputs.reports],
            cache_key=outputs.cache_key if isinstance(outputs, Kept) else None,
        )
        return outputs


def probe_of(
    work: Callable[[Artifact, list[str], dict[str, str]], Outputs],
) -> Task[..., Any]:
    """An action that does this."""

    @action("build/probe", cacheable=True)
    def probe(
        source: Artifact,
        commands: list[str],
        *,
        environment: dict[str, str] = {},
        secrets: dict[str, str] = {},
        image: str | None = None,
    ) -> Outputs:
        return work(source, commands, environment)

    return probe


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Iterator[Shop]:
    with Ledger.open() as ledger:
        yield Shop(ledger, tmp_path)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.tuples(*[st.sampled_from(CHANGES)] * 2), max_size=5))
def test_what_is_served_is_what_a_run_would_have_left(
    shop: Shop, steps: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    before: set[World] = set()
    for first, second in [({}, {}), *steps, ({}, {})]:
        world = replace(replace(World(), **first), **second)
        try:
            served = shop.run(world)
        except ArtifactError:
            continue  # the pattern chooses nothing
        runs = shop.runs

        really = shop.run(world, fresh=True)

        assert served.variables == really.variables
        assert runs + 1 == shop.runs
        assert world not in before or "unchanged since" in (served.summary or "")
        before.add(world)


def test_each_change_runs_the_action_again(shop: Shop) -> None:
    base = World(files=(("src/a", "one"), ("README", "hello")))
    shop.run(base)

    # The last choice is of the same files as the one before.
    for change in CHANGES[1:-1]:
        assert shop.run(replace(base, **change)).summary is None, change

    assert shop.run(base).summary == "unchanged since shop #1"


def test_files_that_are_not_named_are_not_seen(shop: Shop) -> None:
    world = World(files=(("src/a", "one"), ("README", "1")), wish=("src/**",))
    first = shop.run(world)

    second = shop.run(replace(world, files=(("src/a", "one"), ("README", "2"))))

    assert "README" not in first.variables["seen"]
    assert second.summary == "unchanged since shop #1"


def test_what_a_pull_request_leaves_is_never_served_to_others(shop: Shop) -> None:
    shop.run(World(), untrusted=True)
    assert shop.run(World(), untrusted=True).summary == "unchanged since shop #1"

    trusted = shop.run(World())

    assert trusted.summary is None
    assert shop.runs == 2
    assert shop.run(World(), untrusted=True).summary == "unchanged since shop #3"


@pytest.mark.parametrize("status", [Status.FAILED, Status.STOPPED, Status.WAITING])
def test_only_what_has_succeeded_is_served(shop: Shop, status: Status) -> None:
    shop.run(World(), status=status)

    assert shop.run(World()).summary is None


def test_an_artifact_that_is_gone_is_made_again(shop: Shop) -> None:
    shop.run(World())
    store = ArtifactStore(our_settings().artifacts)
    store.collect(set(), grace=-60)

    again = shop.run(World())

    assert again.summary is None
    assert any("but run again: no artifact" in line for line in shop.log)
    store.verify(again.artifacts["out"].digest)


def test_what_changes_while_the_action_runs_is_not_kept(shop: Shop) -> None:
    def rotate(*_: object) -> Outputs:
        os.environ["SHOP_TOKEN"] = "another-secret"
        return Outputs()

    assert not isinstance(shop.run(World(), probe_of(rotate)), Kept)
    assert shop.run(World()).summary is None


def test_reports_link_and_summary_come_along(shop: Shop) -> None:
    report = Report(
        kind="tests", name="unit", passed=2, failures=({"name": "x", "message": "y"},)
    )

    tests = probe_of(
        lambda *_: Outputs(
            reports=(report,), link="https://x.example", summary="2 passed"
        )
    )

    shop.run(World(), tests)
    again = shop.run(World(), tests)

    assert again.reports == (report,)
    assert again.link == "https://x.example"
    assert again.summary == "2 passed; unchanged since shop #1"


def test_a_failure_is_not_hidden_and_not_kept(shop: Shop) -> None:
    def fail(*_: object) -> Outputs:
        raise ActionFailed("broken")

    broken = probe_of(fail)

    with pytest.raises(ActionFailed, match="broken"):
        shop.run(World(), broken)


def test_no_key_tells_a_secret_and_no_other_installation_can_make_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = cached.digest_of({"secrets": {"TOKEN": "swordfish"}})

    monkeypatch.setenv("PREFECT_DELIVERY_HOME", str(tmp_path / "elsewhere"))

    assert cached.digest_of({"secrets": {"TOKEN": "swordfish"}}) != here
    assert (tmp_path / "elsewhere" / "cache.key").stat().st_mode & 0o777 == 0o600


def test_code_that_is_younger_than_the_process_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_actions.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(Refused, match="has changed since this process began"):
        code_of("shop_actions")
