import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any
from xml.etree import ElementTree

import pytest

from prefect_delivery.cli import app
from prefect_delivery.cli.graphs import ascii_graph, mermaid_graph
from prefect_delivery.cli.init import init
from prefect_delivery.cli.plans import make_plan, plan_data, plan_lines
from prefect_delivery.definition import load
from prefect_delivery.definition.models import Pipeline


def test_a_right_definition_is_counted(project: Any) -> None:
    done = project.deliver("validate")

    assert done.stdout == "ok: 3 stages, 5 actions, 1 environment\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_every_mistake_is_shown_with_its_place_and_the_exit_code_is_2(
    project: Any,
) -> None:
    definition = project.folder / "delivery.yaml"
    text = definition.read_text()
    definition.write_text(
        text.replace("commands: [", "comands: [").replace("app:", "a p:")
    )

    done = project.deliver("validate")

    assert done.returncode == 2
    assert done.stdout == ""
    assert "delivery.yaml:9:7: " in done.stderr
    assert "did you mean 'commands'?" in done.stderr
    assert "^^^^^^^" in done.stderr
    assert "\nsee: deliver schema build/commands" in done.stderr
    assert re.search(r"^\d+ problems$", done.stderr, re.MULTILINE)


def test_a_missing_definition_leads_to_init(tmp_path: Path, project: Any) -> None:
    (project.folder / "delivery.yaml").unlink()

    done = project.deliver("validate")

    assert done.returncode == 2
    assert done.stderr == (
        "delivery.yaml: there is no such file\nsee: deliver init\n1 problem\n"
    )


def test_validate_answers_programs_in_json(project: Any) -> None:
    (project.folder / "bad.yaml").write_text("pipeline: 1\n")

    done = project.deliver("validate", "delivery.yaml", "bad.yaml", "-o", "json")

    good, bad = json.loads(done.stdout)
    assert (good["ok"], good["pipeline"]) == (True, "shop")
    assert (bad["ok"], bad["file"]) == (False, "bad.yaml")
    assert bad["problems"][0]["line"] == 1
    assert (done.returncode, done.stderr) == (2, "")


def test_the_plan_says_what_would_run_and_what_is_missing(project: Any) -> None:
    done = project.deliver("plan")

    assert done.returncode == 0
    assert done.stdout == dedent(
        """\
        shop  starts on push to main
        variables
          greeting = hello (default)
          region must be given: -v region=...
        stages
          1. Source
             app  source/git  . main
          2. Build  after Source
             unit     build/commands  reads app ∥
             package  build/commands  reads app makes site ∥
          3. Release  after Build
             ok     approval/manual  waits for a person
             check  build/commands   reads site
        environments
          production  host, runs nothing yet
        nothing was changed; start it: deliver run -v region=...
        """
    )
    assert not (project.folder / ".home").exists()


def test_the_plan_takes_values_and_refuses_unknown_ones(project: Any) -> None:
    given = project.deliver("plan", "-v", "region=eu", "-o", "json")
    unknown = project.deliver("plan", "-v", "regoin=eu")

    variables = {v["name"]: v["value"] for v in json.loads(given.stdout)["variables"]}
    assert variables == {"greeting": "hello", "region": "eu"}
    assert unknown.returncode == 1
    assert unknown.stderr == (
        "error: no variable 'regoin' in shop (declared: greeting, region)\n"
        "next: deliver plan\n"
    )


def test_the_plan_tells_what_differs_from_a_commit(project: Any) -> None:
    same = project.deliver("plan", "--against", "main")
    definition = project.folder / "delivery.yaml"
    text = definition.read_text().replace("default: hello", "default: good day")
    definition.write_text(text.replace("      unit:\n", "      tests:\n"))

    other = project.deliver("plan", "--against", "main")

    assert (same.returncode, same.stdout) == (0, "no differences\n")
    assert other.returncode == 2
    assert other.stdout == (
        "~ variables.greeting.default: hello → good day\n"
        "- stages.Build.actions.unit\n"
        "+ stages.Build.actions.tests\n"
    )


@pytest.mark.parametrize("revision", ["nowhere", "--output=stolen", "main:other"])
def test_a_revision_that_is_not_there_is_refused(project: Any, revision: str) -> None:
    done = project.deliver("plan", f"--against={revision}")

    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "next: deliver plan --against" in done.stderr
    assert not (project.folder / "stolen").exists()


def test_the_graph_is_a_line_a_chart_or_a_picture(project: Any) -> None:
    line = project.deliver("graph").stdout
    chart = project.deliver("graph", "--format", "mermaid").stdout
    picture = project.deliver("graph", "--format", "svg").stdout

    assert line == ("Source(app) ── Build(unit ∥ package) ── Release([ok] → check)\n")
    assert '  subgraph s1["Build"]' in chart
    assert "  s0 --> s1" in chart
    assert "    s2a0 --> s2a1" in chart
    assert ElementTree.fromstring(picture).tag.endswith("svg")


def test_the_graph_of_forked_stages_says_what_each_one_needs(shop: Pipeline) -> None:
    data = shop.snapshot()
    data["stages"]["Lint"] = {
        "needs": ["Source"],
        "actions": {"style": {"uses": "build/commands"}},
    }
    data["stages"]["Production"]["needs"] = ["Build", "Lint"]
    forked = Pipeline.model_validate(data)

    first, *needs = ascii_graph(forked).splitlines()
    assert first == (
        "Source(app) ── {Build(unit ∥ package) ∥ Lint(style)}"
        " ── Production([ok] → deploy)"
    )
    assert needs == [
        "  Build after Source",
        "  Production after Build, Lint",
        "  Lint after Source",
    ]
    assert mermaid_graph(forked).endswith(
        "  s0 --> s1\n  s1 --> s2\n  s3 --> s2\n  s0 --> s3"
    )


def test_the_schema_of_an_action_is_for_reading_or_for_programs(project: Any) -> None:
    read = project.deliver("schema", "build/commands").stdout
    data = json.loads(project.deliver("schema", "build/commands", "-o", "json").stdout)
    whole = json.loads(project.deliver("schema").stdout)

    assert read.startswith("build/commands  ")
    assert "  commands: list of text, required\n" in read
    assert "commands" in data["required"]
    assert "stages" in whole["properties"]


def test_a_misspelt_action_is_guessed(project: Any) -> None:
    done = project.deliver("schema", "build/comands")

    assert done.returncode == 1
    assert "did you mean 'build/commands'?" in done.stderr
    assert done.stderr.endswith("next: deliver schema build/commands\n")


@pytest.mark.parametrize("words", [["validate"], ["schema"], ["graph"], ["plan"]])
def test_reading_a_definition_loads_neither_prefect_nor_sql(
    project: Any, words: list[str]
) -> None:
    script = (
        "import sys\n"
        "from prefect_delivery.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'prefect', 'sqlalchemy', 'boto3', 'docker'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("file", "kind"),
    [("pyproject.toml", "python"), ("package.json", "node"), ("index.html", "static")],
)
def test_init_writes_a_definition_that_fits_the_project(
    project: Any, file: str, kind: str
) -> None:
    definition = project.folder / "delivery.yaml"
    definition.unlink()
    (project.folder / file).touch()

    done = project.deliver("init")

    assert done.returncode == 0
    assert done.stdout.startswith(f"wrote delivery.yaml ({kind}, ")
    assert project.deliver("validate").stdout == (
        "ok: 4 stages, 6 actions, 2 environments\n"
    )
    schema = definition.read_text().partition("$schema=")[2].split()[0]
    assert "stages" in json.loads((project.folder / schema).read_text())["properties"]


def test_init_never_overwrites(project: Any) -> None:
    before = (project.folder / "delivery.yaml").read_text()

    done = project.deliver("init", "--template", "node")

    assert done.returncode == 1
    assert done.stderr == (
        "error: delivery.yaml is already there\nnext: deliver validate\n"
    )
    assert (project.folder / "delivery.yaml").read_text() == before


def test_init_asks_for_a_template_where_no_file_tells(project: Any) -> None:
    (project.folder / "delivery.yaml").unlink()

    done = project.deliver("init")

    assert done.returncode == 1
    assert done.stderr.endswith("next: deliver init --template python|node|static\n")


@pytest.mark.parametrize("name", ["2048", "null", "a b: c", "-x", "Ünï", "…"])
def test_init_makes_a_name_of_any_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()

    init(folder, template="static")

    assert load(folder / "delivery.yaml").pipeline


GROUPS = {name for _, name, place, _ in app.COMMANDS if place.endswith(":app")}


@pytest.mark.parametrize(
    ("name", "summary"), [(name, summary) for _, name, _, summary in app.COMMANDS]
)
def test_a_command_is_listed_with_the_first_line_of_its_help(
    name: str, summary: str
) -> None:
    told = app.build([name])[name].help

    assert told.splitlines()[0] == summary
    assert name in GROUPS or "For example:" in told


def test_wrong_usage_ends_with_2(project: Any) -> None:
    assert project.deliver("runn").returncode == 2
    assert project.deliver("run", "--nope").returncode == 2
    assert "Did you mean" in project.deliver("runn").stderr


def test_a_reader_that_leaves_early_is_no_error(project: Any) -> None:
    done = subprocess.run(
        f"{project.program} schema | head -c 1",
        shell=True,
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("{", "")


@pytest.fixture
def asked(shop: Pipeline) -> Pipeline:
    """A definition whose last stage has every condition."""
    window = {"uses": "rule/deployment-window"}
    alarm = {"uses": "rule/alarm", "with": {"source": "prometheus", "alarm": {}}}
    data = shop.snapshot()
    data["stages"]["Build"]["on_failure"] = {"result": "retry"}
    data["stages"]["Production"] |= {
        "before_entry": {"result": "skip", "rules": {"hours": window}},
        "on_success": {"result": "rollback", "rules": {"bake": alarm, "errors": alarm}},
        "on_failure": {"result": "rollback", "rules": {"ill": alarm}},
    }
    return Pipeline.model_validate(data)


def test_the_plan_says_what_a_stage_is_asked(asked: Pipeline) -> None:
    plan = make_plan(asked, {}, {})
    lines = [line.strip() for line in plan_lines(plan)]

    production = lines[lines.index("3. Production  after Build") :]
    assert [line.split()[0] for line in production[1:6]] == [
        "before_entry:",
        "ok",
        "deploy",
        "on_success:",
        "on_failure:",
    ]
    assert production[1] == "before_entry: hours (rule/deployment-window), else skip"
    assert production[4] == (
        "on_success: bake (rule/alarm), errors (rule/alarm), else rollback"
    )
    assert production[5] == "on_failure: rollback if ill (rule/alarm)"
    assert "on_failure: retry" in lines
    assert plan_data(plan)["stages"][2]["conditions"][0] == {
        "when": "before_entry",
        "result": "skip",
        "rules": [{"name": "hours", "uses": "rule/deployment-window"}],
    }


def test_the_graph_shows_what_a_stage_is_asked(asked: Pipeline) -> None:
    chart = mermaid_graph(asked)

    line, *after = ascii_graph(asked).splitlines()
    assert line.endswith(" ── Production(hours? → [ok] → deploy → bake? ∥ errors?)")
    assert after == [
        "  Build on_failure: retry",
        "  Production on_failure: rollback if ill (rule/alarm)",
    ]
    assert '    s2a2{{"before_entry: hours<br/>rule/deployment-window"}}' in chart
    assert "    s2a2 --> s2a0" in chart
    assert "    s2a1 --> s2a3\n    s2a1 --> s2a4" in chart
    assert '    s2f(["on_failure: rollback if ill (rule/alarm)"])' in chart
