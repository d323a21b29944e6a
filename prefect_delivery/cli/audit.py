"""Commands on the audit log: `audit list`, `audit show`, `audit verify`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter

from prefect_delivery.cli.codes import FAILED, OK
from prefect_delivery.cli.terminal import Format, complain, one_line, write, write_json
from prefect_delivery.errors import LedgerError
from prefect_delivery.ledger import Entry, Ledger

Output = Annotated[Format, Parameter(name=["--output", "-o"])]
Limit = Annotated[int, Parameter(name=["--limit", "-n"])]

app = App(
    name="audit",
    help="Read and verify the log of who did what.",
    help_format="markdown",
)


@app.command(name="list")
def list_(
    subject: str | None = None,
    /,
    *,
    by: str | None = None,
    limit: Limit = 20,
    output: Output = "text",
) -> int:
    """List who did what.

    The newest comes first.

    For example:

        deliver audit list
        deliver audit list "shop #42"

    Args:
        subject: Only of this execution, stage, action or environment.
        by: Only by this person or process.
        limit: How many.
        output: `json` for programs.
    """
    found = Ledger.open().audit.entries(limit, subject=subject, actor=by)
    if output == "json":
        write_json([asdict(entry) for entry in found])
        return OK
    _tell(found)
    return OK


@app.command
def show(number: int, /, *, output: Output = "text") -> int:
    """Show one entry whole.

    For example:

        deliver audit show 17

    Args:
        number: Of the entry.
        output: `json` for programs.
    """
    entry = Ledger.open().audit.get(number)
    if output == "json":
        write_json(asdict(entry))
        return OK
    _tell([entry])
    for key, value in entry.detail.items():
        write(f"  {key}: {one_line(str(value))}")
    write(f"  hash: {entry.hash}")
    return OK


@app.command
def verify(*, holds: str | None = None, output: Output = "text") -> int:
    """Check that nobody has changed the log.

    Recomputes the hash of every entry. Keep the newest hash elsewhere and give it later:
    the chain alone cannot tell that its newest entries were cut off.

    For example:

        deliver audit verify
        deliver audit verify --holds 9f1c...

    Args:
        holds: Hash of an entry that must be there.
        output: `json` for programs.

    Returns:
        0 when it is whole, else 1.
    """
    audit = Ledger.open().audit
    problem: LedgerError | None = None
    try:
        audit.verify(holds)
    except LedgerError as error:
        problem = error
    newest = audit.entries(1)
    last = newest[0] if newest else None
    if output == "json":
        write_json(
            {
                "ok": problem is None,
                "entries": last.seq if last else 0,
                "newest": last.hash if last else None,
                "broken": getattr(problem, "entry", None),
                "problem": problem.message if problem else None,
            }
        )
    elif problem:
        complain(f"error: {problem.message}", problem.hint)
    elif last:
        write(f"the audit log is whole: {last.seq} entries, the newest {last.hash}")
    else:
        write("the audit log is empty")
    return FAILED if problem else OK


def _tell(entries: Sequence[Entry]) -> None:
    for entry in entries:
        when = f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}"
        said = f"{entry.seq:>6}  {when}  {entry.actor}  {entry.verb}  {entry.subject}"
        write(one_line(said) if len(entries) == 1 else said)
