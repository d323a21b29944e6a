"""The command `show`: one execution, whole."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from prefect_delivery.cli.codes import OK
from prefect_delivery.cli.story import story_lines
from prefect_delivery.cli.story_data import story_data
from prefect_delivery.cli.target import find_execution
from prefect_delivery.cli.terminal import Format, show, write, write_json
from prefect_delivery.cli.views import headline
from prefect_delivery.ledger import Ledger
from prefect_delivery.story import story_of


def show_execution(
    *execution: str,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "text",
) -> int:
    """Show all that is known of an execution.

    Every attempt, what was waited for and how long, votes with their comments, artifacts,
    reports, rollouts with their steps, where the time went, and who did what.

    For example:

        deliver show shop 42
        deliver show shop 42 -o json

    Args:
        execution: PIPELINE, NUMBER or both; by default the latest.
        output: `json` for programs; it has the definition and the audit log, too.
    """
    ledger = Ledger.open()
    found, _ = find_execution(ledger, execution)
    now = datetime.now(UTC)
    story = story_of(ledger, found, now)
    if output == "json":
        write_json(story_data(story, now))
        return OK
    show(headline(found, now))
    for line in story_lines(story, now):
        write(line)
    return OK
