"""`deliver deploy`: what Prefect is told, and what is left alone."""

import json
from typing import Any

import pytest
from deployed import until
from git_work import Developer
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import PrefectHTTPStatusError
from team import Team

from prefect_delivery.deployments.keeping import WATCH
from prefect_delivery.engine.state import Status

ON = """
description: Sells things.
variables:
  greeting: {default: hello, description: What to say.}
  size: {}
on:
  schedule: [{cron: "0 6 * * 1-5", timezone: Europe/Athens}]
  event: [image.pushed]
"""


def test_a_definition_becomes_a_deployment_that_a_stock_worker_carries_out(
    team: Team,
) -> None:
    """From form to end: schema, schedule, automation, run, and no second apply."""
    team.write("form", ON, text="#{variables.greeting} #{variables.size}")

    said = team.deploy("form", "--tag", "web", "-j", 'env={"STAGE": "x"}')

    assert "+ form  deployed" in said
    assert "only a person can start form: variable 'size' has no default" in said
    assert f"no worker serves the pool '{team.pool}'" in said
    made = team.deployment("form")
    assert made.entrypoint == "prefect_delivery.flows.pipeline.pipeline"
    assert (made.path, made.pull_steps) == (None, [])
    assert made.tags == ["delivery", "web"]
    assert made.job_variables == {"env": {"STAGE": "x"}}
    assert made.global_concurrency_limit is None
    assert made.description == "Sells things."
    (schedule,) = made.schedules
    assert schedule.slug == "0-6-x-x-1-5-europe-athens"
    assert isinstance(schedule.schedule, CronSchedule)
    assert schedule.schedule.timezone == "Europe/Athens"
    form: Any = made.parameter_openapi_schema
    assert form["required"] == ["variables"]
    fields = form["properties"]["variables"]
    assert fields["required"] == ["size"]
    assert fields["properties"]["greeting"]["default"] == "hello"
    assert fields["properties"]["greeting"]["description"] == "What to say."
    assert list(form["properties"]["revisions"]["properties"]) == ["app"]
    for wrong in ({}, {"variables": {"size": "1", "other": "2"}}):
        with pytest.raises(PrefectHTTPStatusError) as refused:
            team.ask("form", **wrong)
        assert refused.value.response.status_code in {409, 422}

    again = team.deploy("form", "--tag", "web", "-j", 'env={"STAGE": "x"}')

    assert "= form  unchanged" in again
    assert team.deployment("form").updated == made.updated


def test_only_what_changed_is_applied_and_the_rest_is_pruned(team: Team) -> None:
    for name in ("one", "two", "three"):
        team.write(name, file=f"services/{name}/delivery.yaml")
    team.write("elsewhere", file="other/delivery.yaml")
    team.deploy("services", "other")
    before = team.deployment("two").updated
    team.write("one", text="bye", file="services/one/delivery.yaml")
    (team.folder / "services/three/delivery.yaml").unlink()

    shown = team.deliver("deploy", "services", "--prune", "--dry-run", "-o", "json")

    assert shown.returncode == 2, shown.stderr
    verdicts = {each["pipeline"]: each["verdict"] for each in json.loads(shown.stdout)}
    # Another pool is another deployment: here, the default one.
    assert verdicts == {"one": "changed", "two": "changed", "three": "gone"}
    assert team.deployment("three")

    said = team.deploy("services", "--prune")

    assert "~ one  deployed again" in said
    assert "definition.stages.Build.actions.package.with.environment.TEXT" in said
    assert "hello → bye" in said
    assert "= two  unchanged" in said
    assert "- three  removed" in said
    assert "elsewhere" not in said
    assert team.deployment("two").updated == before
    assert team.deployment("elsewhere")
    names = [each.definition.pipeline for each in team.ledger.deployments.list()]
    assert names == ["elsewhere", "one", "two"]
    against = team.deliver("plan", "services/one/delivery.yaml", "--against", "live")
    assert (against.returncode, against.stdout) == (0, "no differences\n")


def test_a_change_by_hand_is_shown_and_set_right(team: Team) -> None:
    team.write("hand", ON)
    team.deploy("hand")
    made = team.deployment("hand")
    team.client.update_deployment_schedule(made.id, made.schedules[0].id, active=False)

    shown = team.deliver("deploy", "hand", "--pool", team.pool, "--dry-run")

    assert shown.returncode == 2
    assert "hand was changed by hand in Prefect; would be set right" in shown.stderr
    assert "active: true → false" in shown.stderr
    assert not team.deployment("hand").schedules[0].active
    assert "changed by hand in Prefect; set right" in team.deploy("hand")
    assert team.deployment("hand").schedules[0].active
    assert "unchanged" in team.deploy("hand")


@pytest.mark.parametrize("kind", ["push", "pull_request", "pipeline"])
def test_whatever_change_starts_a_pipeline_is_watched(team: Team, kind: str) -> None:
    others = "[other]" if kind == "pipeline" else "{branches: [main]}"
    team.write("asked", f"on: {{{kind}: {others}}}")

    team.deploy("asked")

    watch = team.client.read_deployment_by_name(WATCH.deployment)
    assert watch.work_pool_name == team.pool


def test_pipelines_that_start_each_other_are_refused(team: Team) -> None:
    team.write("hen", "on: {pipeline: [egg]}")
    team.deploy("hen")
    team.write("egg", "on: {pipeline: [hen]}")

    done = team.deliver("deploy", "egg")

    assert done.returncode == 1
    assert "would start each other for ever" in done.stderr
    assert [each.definition.pipeline for each in team.ledger.deployments.list()] == [
        "hen"
    ]


def test_what_init_writes_is_deployed_by_prefects_own_command(team: Team) -> None:
    team.work()
    shop = Developer(team.folder / "site", "--quiet")
    shop.commit("one", {"index.html": "hello"})
    assert team.deliver("init", "site").returncode == 0
    yaml = shop.folder / "prefect.yaml"
    own_pool = f"work_pool: {{name: {team.pool}}}"
    yaml.write_text(yaml.read_text().replace("work_pool: {name: delivery}", own_pool))

    words = ["--no-prompt", "deploy", "--all"]
    done = team.machine.call("prefect", *words, folder=shop.folder)

    assert done.returncode == 0, done.stdout + done.stderr
    team.ask("site")
    ledger = team.ledger

    def is_staged() -> bool:
        found = ledger.executions.list("site")
        staging = found[0].stages.get("Staging") if found else None
        return staging is not None and staging.status is Status.SUCCEEDED

    until(is_staged, "the stage")
    environment = shop.folder / ".delivery" / "staging"
    assert (environment / "current" / "index.html").read_text() == "hello"
