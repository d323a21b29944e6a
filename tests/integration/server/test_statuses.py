"""What forges are told about executions, by doubles that check what their docs say."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from deployed_repository import DeployedRepository
from forge_double import TOKEN, ForgeDouble, forge_double
from git_http import free_port
from webhooks import KEY

from prefect_delivery import control
from prefect_delivery.definition import load
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.flows.run import Watch, run_execution
from prefect_delivery.ledger import never
from prefect_delivery.server.connections import Configuration
from prefect_delivery.server.statuses import Publisher

JUNIT = """<testsuite><testcase name="adds" file="src/test_a.py" line="7">
<failure message="1 is not 2"/></testcase><testcase name="elsewhere">
<failure message="no place"/></testcase></testsuite>"""
DEFINITION = """
pipeline: shop
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: "%s", branch: main}}
  Build:
    actions:
      make: {uses: build/commands, with: {commands: ["true"]}}
  Test:
    actions:
      check:
        uses: test/commands
        with:
          commands: ["cp results.xml report.xml", %s]
          junit: [report.xml]
"""


@pytest.fixture
def double() -> Iterator[ForgeDouble]:
    with forge_double("github") as double:
        yield double


@pytest.fixture
def publisher(
    there: DeployedRepository, double: ForgeDouble, monkeypatch: pytest.MonkeyPatch
) -> Publisher:
    monkeypatch.setenv("FORGE_TOKEN", TOKEN)
    return publishing(there, double.forge, double.api)


def publishing(
    there: DeployedRepository,
    forge: str,
    api: str,
    repositories: Sequence[str] = ("127.0.0.1:*",),
) -> Publisher:
    connection: dict[str, Any] = {
        "forge": forge,
        "repositories": [*repositories],
        "secrets": [KEY],
        "token": "env:FORGE_TOKEN",
        "api": api,
    }
    configuration = {"connections": {forge: connection}}
    return Publisher(Configuration.model_validate(configuration), there.ledger)


def run(
    there: DeployedRepository,
    on_change: Callable[[Execution], object],
    last: str = "'false'",
) -> Execution:
    """Run the shop's pipeline, and do something at each of its changes."""
    there.developer.commit("one", {"results.xml": JUNIT})
    there.developer.push()
    definition = load(DEFINITION % (there.url, last))
    started = control.start(there.ledger, definition)

    def changed(execution: Execution) -> None:
        on_change(execution)

    watch = Watch(changed, lambda *_: None, stay=False)
    return run_execution(started.id, watch, local=True, ledger=there.ledger)


EXPECTED = {
    "github": ("pending", "success", "failure"),
    "gitea": ("pending", "success", "failure"),
    "gitlab": ("running", "success", "failed"),
    "bitbucket": ("INPROGRESS", "SUCCESSFUL", "FAILED"),
}


def test_each_stage_and_the_whole_are_told_as_they_change(
    there: DeployedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGE_TOKEN", TOKEN)
    with ExitStack() as stack:
        doubles = [stack.enter_context(forge_double(forge)) for forge in EXPECTED]
        publishers = [publishing(there, each.forge, each.api) for each in doubles]

        def publish() -> int:
            return sum(each.publish() for each in publishers)

        run(there, lambda _: publish())
        publish()
        asked = sum(each.asked for each in doubles)
        again = publish()

    for double in doubles:
        pending, success, failure = EXPECTED[double.forge]
        states: dict[str, list[str]] = {}
        for context, state in double.told:
            if states.setdefault(context, [""])[-1] != state:
                states[context].append(state)
        # A source has no commit before it has run: then its stage is over.
        assert states["delivery/shop/Source"][-1] == success
        assert states["delivery/shop/Build"] == ["", pending, success]
        assert states["delivery/shop/Test"] == ["", pending, failure]
        assert states["delivery/shop"] == ["", pending, failure]
        assert double.bodies[-1]["description"].startswith("shop #1: ")
    assert (again, sum(each.asked for each in doubles)) == (0, asked)


ARN = "arn:aws:codeconnections:eu-central-1:123456789012:connection/one"
BY_CONNECTION = f"""
pipeline: shop
stages:
  Source:
    actions:
      app:
        uses: source/connection
        with:
          connection_arn: "{ARN}"
          full_repository_id: ann/shop
          branch_name: main
  Gate: {{actions: {{sure: {{uses: approval/manual}}}}}}
"""


@pytest.mark.parametrize(
    ("speaks_of", "told"), [(f"{ARN}/ann/*", True), ("*/ann/other", False)]
)
def test_a_source_behind_a_connection_of_aws_is_told_of_where_that_leads_to(
    there: DeployedRepository,
    double: ForgeDouble,
    monkeypatch: pytest.MonkeyPatch,
    speaks_of: str,
    told: bool,
) -> None:
    monkeypatch.setenv("FORGE_TOKEN", TOKEN)
    publisher = publishing(there, "github", double.api, [speaks_of])
    executions = there.ledger.executions
    # Nothing of AWS is asked: that its connections bring commits is tested elsewhere.
    started = control.start(
        there.ledger, load(BY_CONNECTION), revisions={"app": "c" * 40}
    )
    attempt = executions.claim(started.id, holder="x", ttl=60, dead=never)
    executions.enter_stage(attempt, "Source")
    executions.begin_action(attempt, "Source", "app", 1)
    executions.end_action(attempt, "Source", "app", 1, Status.SUCCEEDED)
    executions.end_stage(attempt, "Source", Status.SUCCEEDED)
    executions.enter_stage(attempt, "Gate")

    publisher.publish()

    states = {
        "delivery/shop": "pending",
        "delivery/shop/Source": "success",
        "delivery/shop/Gate": "pending",
    }
    assert double.now == (states if told else {})
    assert set(double.paths) == (
        {f"/api/repos/ann/shop/statuses/{'c' * 40}"} if told else set()
    )


def test_an_app_of_github_writes_a_page_with_the_failed_tests_at_their_lines(
    there: DeployedRepository, double: ForgeDouble, publisher: Publisher
) -> None:
    double.is_app = True

    run(there, lambda _: publisher.publish())
    publisher.publish()

    page = [body for body in double.bodies if "output" in body][-1]
    assert page["conclusion"] == "failure"
    assert "| ✗ Test | check |" in page["output"]["summary"]
    (mark,) = page["output"]["annotations"]
    assert (mark["path"], mark["start_line"]) == ("src/test_a.py", 7)
    assert mark["message"] == "1 is not 2"
    assert double.now["delivery/shop/Test"] == "failure"


def test_a_retried_stage_is_told_anew(
    there: DeployedRepository, double: ForgeDouble, publisher: Publisher
) -> None:
    run(there, lambda _: None)
    publisher.publish()
    first = double.now

    control.retry(there.ledger, "shop", by="ann")
    publisher.publish()

    assert first["delivery/shop/Test"] == "failure"
    assert double.now["delivery/shop"] == "pending"


def test_a_forge_that_is_down_is_told_later_and_holds_nothing_up(
    there: DeployedRepository, double: ForgeDouble, publisher: Publisher
) -> None:
    nobody = publishing(there, "github", f"http://127.0.0.1:{free_port()}/api")

    ended = run(there, lambda _: nobody.publish())
    at_once = nobody.publish()
    told = there.ledger.statuses.told(ended.id)
    for key in told:
        there.ledger.statuses.note(ended.id, key, said="", tries=1, seconds=-1)
    double.answers = [503]
    publisher.publish()
    left = [t for t in there.ledger.statuses.told(ended.id).values() if t.error]

    assert ended.status.ended
    assert at_once == 0  # nothing is due
    assert all(t.error and t.error.startswith("ConnectError") for t in told.values())
    assert len(double.told) == 3
    assert [t.error for t in left] == ["answers 503"]


def test_what_a_forge_refuses_is_not_sent_again_until_there_is_news(
    there: DeployedRepository, double: ForgeDouble, publisher: Publisher
) -> None:
    ended = run(there, lambda _: None)
    double.answers = [422] * 10

    first = publisher.publish()
    second = publisher.publish()

    assert (first, second) == (4, 0)
    told = there.ledger.statuses.told(ended.id).values()
    assert [each.error for each in told] == ["answers 422"] * 4
    assert all(each.said for each in told)  # it waits for no other try


def test_a_forge_that_has_it_already_is_content(
    there: DeployedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGE_TOKEN", TOKEN)
    with forge_double("gitlab") as double:  # which refuses the same state again
        publisher = publishing(there, "gitlab", double.api)
        ended = run(there, lambda _: None)
        publisher.publish()
        # As after a crash between what was told and the note of it.
        for key in there.ledger.statuses.told(ended.id):
            there.ledger.statuses.note(ended.id, key, said="")
        again = publisher.publish()

    told = there.ledger.statuses.told(ended.id).values()
    assert (again, [each.error for each in told]) == (4, [None] * 4)
    assert len(double.told) == 4
