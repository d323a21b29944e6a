"""The command `plan`: what a run would do, without doing it."""

import subprocess
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from prefect_delivery.cli.codes import OK, USAGE
from prefect_delivery.cli.definitions import DEFAULT
from prefect_delivery.cli.differences import differences
from prefect_delivery.cli.plans import Plan, make_plan, plan_data, plan_lines
from prefect_delivery.cli.terminal import Format, one_line, pairs, write, write_json
from prefect_delivery.codepipeline.availability import refuse_ended
from prefect_delivery.codepipeline.reading import read_pipeline
from prefect_delivery.definition import Pipeline, load
from prefect_delivery.errors import Refused
from prefect_delivery.settings import settings


def plan(
    file: Path = DEFAULT,
    /,
    *,
    variable: Annotated[
        list[str], Parameter(name=["--variable", "-v"], negative="", show_default=False)
    ] = [],
    against: str | None = None,
    policy: Annotated[bool, Parameter(negative="")] = False,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "text",
) -> int:
    """Show what a run would do, without doing it.

    Nothing is started, and nothing is asked over the network.

    For example:

        deliver plan
        deliver plan -v greeting=hello
        deliver plan --against main        # what differs from that commit's definition
        deliver plan --against live        # what differs from what is deployed
        deliver plan --policy              # what it must be allowed to do in AWS

    Args:
        file: The definition; a file of CodePipeline as well.
        variable: Value of a pipeline variable, as name=value.
        against: A git revision, another definition file, or `live`: what is deployed, or
            the last execution where nothing is.
        policy: Write the IAM policies that the definition needs, by the identities that
            act, instead of the plan.
        output: `json` for programs.

    Returns:
        0; with `against`, 2 when something differs.
    """
    definition = read_pipeline(file)
    refuse_ended(definition)
    if policy:
        # Actions are imported for it.
        from prefect_delivery.cli.policies import policies

        write_json(policies(definition))
        return OK
    if against is not None:
        return _compare(_other(definition, file, against), definition, output)
    made = make_plan(definition, pairs(variable, "-v"), _serving(definition))
    _show(made, output)
    return OK


def _show(made: Plan, output: Format) -> None:
    if output == "json":
        write_json(plan_data(made))
        return
    for line in plan_lines(made):
        write(line)


def _serving(definition: Pipeline) -> dict[str, str]:
    """What the environments run, by name; empty where nothing has run yet."""
    recorded = settings()
    exists = recorded.ledger_url or (recorded.home / "ledger.db").exists()
    if not (definition.environments and exists):
        return {}
    # Only now: it costs more time than all the rest.
    from prefect_delivery.cli.views import release_title
    from prefect_delivery.ledger import Ledger

    ledger = Ledger.open()
    current = {
        name: ledger.releases.current(f"{definition.pipeline}/{name}")
        for name in definition.environments
    }
    return {name: release_title(found) for name, found in current.items() if found}


def _other(definition: Pipeline, file: Path, against: str) -> Pipeline:
    if against == "live":
        from prefect_delivery.ledger import Ledger

        ledger = Ledger.open()
        if deployed := ledger.deployments.find(definition.pipeline):
            return deployed.definition
        return ledger.executions.find(definition.pipeline).definition
    if Path(against).is_file():
        return read_pipeline(Path(against))
    return load(
        _at_revision(file, against),
        file=f"{against}:{file}",
        folder=file.resolve().parent,
    )


def _at_revision(file: Path, revision: str) -> str:
    """Text of a file as it was in a git revision.

    Raises:
        Refused: There is no such revision, or no such file in it.
    """
    if revision.startswith("-"):
        raise Refused(
            f"'{revision}' is no revision", hint="deliver plan --against main"
        )
    place = file.resolve()
    done = subprocess.run(
        ["git", "-C", str(place.parent), "show", f"{revision}:./{place.name}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refused(
            f"cannot read {file} of '{revision}': {one_line(done.stderr)}",
            hint="deliver plan --against live, or a git revision, or a file",
        )
    return done.stdout


def _compare(old: Pipeline, new: Pipeline, output: Format) -> int:
    found = differences(old.snapshot(), new.snapshot())
    if output == "json":
        write_json(found)
    elif found:
        for line in found:
            write(one_line(line))
    else:
        write("no differences")
    return USAGE if found else OK
