"""Run commands that say whether a stage may go on."""

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Megabytes,
    Minutes,
    Outputs,
    action,
)
from prefect_delivery.tasks.shell import Commands, Script, workspace


@action("rule/commands")
def ask_commands(
    source: Artifact,
    commands: Commands,
    *,
    extra: dict[str, Artifact] = {},
    image: str | None = None,
    environment: dict[str, str] = {},
    secrets: dict[str, str] = {},
    directory: str = ".",
    timeout: Minutes = 55,
    memory: Megabytes | None = None,
    job: Job = Job(),
) -> Outputs:
    """Hold when shell commands on a private copy of `source` succeed.

    They run as those of `build/commands` do, and leave nothing.

    Args:
        source: What the commands start in.
        commands: Each a complete statement.
        extra: More artifacts; `$ARTIFACT_<NAME>` is the folder of each.
        image: Container image to run in instead of on the worker.
        environment: Environment variables, the only way for values into the commands.
        secrets: Environment variables, each with the name of a Prefect `Secret` block,
            or `env:NAME` for a variable of the worker. Hidden in the log.
        directory: Folder of the source in which the commands start.
        timeout: Minutes until the commands are ended.
        memory: Megabytes that the commands may use together.

    Raises:
        ActionFailed: A command failed; names it and says how.

    Source: CodePipeline user guide, "Commands" (rule).
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
    return Outputs()
