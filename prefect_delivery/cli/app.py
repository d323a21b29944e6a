"""The commands of `deliver`. Each one's module is imported only when it is called."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

from cyclopts import App, Group, Parameter

from prefect_delivery.cli.codes import FAILED, USAGE
from prefect_delivery.cli.terminal import complain
from prefect_delivery.errors import (
    ActionFailed,
    ArtifactError,
    DefinitionError,
    DeliveryError,
    LedgerError,
)

_WRITE = Group("Write a pipeline", sort_key=1)
_RUN = Group("Run it", sort_key=2)
_DECIDE = Group("Decide", sort_key=3)
_LOOK = Group("Look", sort_key=4)
_KEEP = Group("Keep it running", sort_key=5)

COMMANDS: list[tuple[Group, str, str, str]] = [
    (_WRITE, "init", "init:init", "Write a delivery.yaml that fits this project."),
    (_WRITE, "validate", "definitions:validate", "Check definitions for mistakes."),
    (
        _WRITE,
        "schema",
        "definitions:schema",
        "Show what may be written in a definition.",
    ),
    (_WRITE, "graph", "definitions:graph", "Draw the stages of a definition."),
    (_WRITE, "plan", "plan:plan", "Show what a run would do, without doing it."),
    (
        _WRITE,
        "import",
        "exchange:import_",
        "Write a definition that does what a CodePipeline pipeline does.",
    ),
    (
        _WRITE,
        "export",
        "exchange:export",
        "Write a definition as AWS CodePipeline declares it, or as a state machine.",
    ),
    (_RUN, "run", "run:run", "Run a pipeline and watch it."),
    (_RUN, "retry", "run:retry", "Run the failed actions of an execution again."),
    (_RUN, "rerun", "rerun:rerun", "Run an execution again, exactly as it was."),
    (
        _RUN,
        "promote",
        "promote:promote",
        "Deploy to one environment what runs in another.",
    ),
    (_RUN, "rollback", "run:rollback", "Run stages again as they ran before."),
    (_RUN, "stop", "decisions:stop", "Stop an execution."),
    (_RUN, "demo", "demo:demo", "See a delivery from source to rollback, in a minute."),
    (_DECIDE, "approvals", "approvals:approvals", "List what waits for my approval."),
    (_DECIDE, "approve", "decisions:approve", "Approve what waits for a decision."),
    (_DECIDE, "reject", "decisions:reject", "Reject what waits for a decision."),
    (_DECIDE, "freeze", "transitions:freeze", "Let no execution into a stage."),
    (_DECIDE, "thaw", "transitions:thaw", "Let executions into a stage again."),
    (
        _DECIDE,
        "override",
        "override:override",
        "Let a stage go on though a condition is not met.",
    ),
    (_LOOK, "status", "looking:status", "Show how executions stand."),
    (_LOOK, "history", "looking:history", "List earlier executions."),
    (
        _LOOK,
        "show",
        "show:show_execution",
        "Show all that is known of an execution.",
    ),
    (_LOOK, "compare", "compare:compare", "Show what differs between two executions."),
    (_LOOK, "changes", "changes:changes", "List what came from outside, and its end."),
    (_LOOK, "audit", "audit:app", "Read and verify the log of who did what."),
    (_LOOK, "logs", "logs:logs", "Show what actions have logged."),
    (_LOOK, "releases", "looking:releases", "List what an environment has run."),
    (_KEEP, "env", "environments:app", "Look at and repair environments."),
    (
        _KEEP,
        "deploy",
        "deploy:deploy",
        "Let pipelines start by themselves: at pushes, at times, from Prefect's page.",
    ),
    (
        _KEEP,
        "watch",
        "watch:watch",
        "Look at the sources of deployed pipelines, and start what changed.",
    ),
    (_KEEP, "worker", "worker:worker", "Carry out deployed pipelines on this machine."),
    (
        _KEEP,
        "server",
        "server:server",
        "Take webhooks, and give actions on work pools what they need.",
    ),
    (
        _KEEP,
        "reconcile",
        "decisions:reconcile",
        "Set right what dead processes left behind.",
    ),
    (_KEEP, "doctor", "doctor:doctor", "Check that this machine can deliver."),
]
_EXIT_CODES = (
    "Exit codes: 0 succeeded, 1 failed, 2 wrong usage or definition, 3 stopped or "
    "rejected, 5 waiting for a decision, 124 timeout, 130 interrupted."
)


def build(words: Sequence[str] = ()) -> App:
    """The command tree, with nothing behind it loaded.

    Args:
        words: The command line. A command that it names tells its help by its
            docstring, the others by their line in the list, for which nothing need be
            imported.
    """
    app = App(
        name="deliver",
        help="Continuous delivery on Prefect: source, build, test, approve, deploy.",
        help_epilogue=_EXIT_CODES,
        help_format="markdown",
        version=_version,
        group_commands=Group("Other", sort_key=9),
    )
    for group, name, place, summary in COMMANDS:
        app.command(
            f"prefect_delivery.cli.{place}",
            name=name,
            help=None if name in words else summary,
            group=group,
        )
    app.register_install_completion_command()
    app.meta.default(_launcher(app))
    return app


def run() -> None:
    """Run one command and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a mark shows a question mark.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    if os.environ.get("CI"):
        os.environ.setdefault("NO_COLOR", "1")
    try:
        try:
            build(sys.argv[1:]).meta()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does; that is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _launcher(app: App) -> Callable[..., int]:
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        traceback: Annotated[
            bool,
            Parameter(negative="", env_var="PREFECT_DELIVERY_TRACEBACK"),
        ] = False,
    ) -> int:
        """Run one command.

        Args:
            traceback: Show where in our code an error comes from.
        """
        try:
            result = app(tokens, result_action="return_value")
        except DeliveryError as error:
            if traceback:
                raise
            return _report(error)
        return result if isinstance(result, int) else 0

    return launch


def _report(error: DeliveryError) -> int:
    """Say what is wrong and what to do next; the exit code."""
    if isinstance(error, DefinitionError):
        complain(error.message, error.hint)
        return USAGE
    complain(f"error: {error.message}", error.hint or _next_step(error))
    return FAILED


def _next_step(error: DeliveryError) -> str:
    match error:
        case LedgerError() | ArtifactError():
            return "deliver doctor"
        case ActionFailed():
            return "deliver logs --failed"
        case _:
            return "deliver status"


def _version() -> str:
    # It loads the parser of e-mail, which no other command needs.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("prefect-delivery")
    except PackageNotFoundError:
        return "not installed"
