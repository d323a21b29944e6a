"""Build with commands on the worker, or in a container on its Docker engine."""

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Megabytes,
    Minutes,
    Outputs,
    Patterns,
    action,
)
from prefect_delivery.tasks.shell import Commands, Script, workspace


@action("build/commands", cacheable=True)
def run_commands(
    source: Artifact,
    commands: Commands,
    *,
    extra: dict[str, Artifact] = {},
    image: str | None = None,
    environment: dict[str, str] = {},
    secrets: dict[str, str] = {},
    directory: str = ".",
    outputs: Patterns = {},
    timeout: Minutes = 60,
    memory: Megabytes | None = None,
    job: Job = Job(),
) -> Outputs:
    """Run shell commands on a private copy of `source`.

    The commands share one shell (`sh -e`), so that `cd` and variables carry over and
    the first that fails ends the action. Whatever they leave running is ended. Lines
    `NAME=value` that they append to the file `$DELIVERY_OUTPUT` become variables.

    Args:
        source: What the commands start in.
        commands: Each a complete statement.
        extra: More artifacts; `$ARTIFACT_<NAME>` is the folder of each.
        image: Container image to run in instead of on the worker.
        environment: Environment variables, the only way for values into the commands.
            Of the worker's own only harmless ones are there: no keys, no tokens.
        secrets: Environment variables, each with the name of a Prefect `Secret` block,
            or `env:NAME` for a variable of the worker. Hidden in the log.
        directory: Folder of the source in which the commands start, and in which the
            outputs are looked for.
        outputs: Artifacts to keep, each with the patterns of its files. A single
            `dist/` takes what is in that folder, as the root of the artifact.
        timeout: Minutes until the commands are ended.
        memory: Megabytes that the commands may use together.

    Returns:
        The artifacts named by `outputs` and the variables that the commands set.

    Raises:
        ActionFailed: A command failed; names it and says how.
    """
    script = Script(
        commands=commands,
        image=image,
        environment=environment,
        secrets=secrets,
        directory=directory,
        timeout=timeout,
        memory=memory,
    )
    with workspace(source, extra, script, job) as work:
        if failure := work.run():
            raise ActionFailed(failure)
        return Outputs(
            artifacts=work.keep(outputs),
            variables=work.variables(),
        )
