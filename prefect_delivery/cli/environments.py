"""Commands on environments: `env ls`, `env check`, `env unlock`."""

from dataclasses import asdict, dataclass
from typing import Annotated

from cyclopts import App, Parameter

from prefect_delivery import control
from prefect_delivery.cli.codes import FAILED, OK
from prefect_delivery.cli.terminal import Format, one_line, show, write, write_json
from prefect_delivery.cli.views import environment_table, short
from prefect_delivery.ledger import Ledger

Output = Annotated[Format, Parameter(name=["--output", "-o"])]

app = App(name="env", help="Look at and unlock environments.", help_format="markdown")


@app.command
def ls(*, output: Output = "text") -> int:
    """List the environments that were deployed to, and what they run.

    For example:

        deliver env ls

    Args:
        output: `json` for programs.
    """
    ledger = Ledger.open()
    states = ledger.environments.list()
    if output == "json":
        write_json([asdict(state) for state in states])
        return OK
    if not states:
        write("nothing was deployed yet (see what would be: deliver plan)")
        return OK
    current = {state.name: ledger.releases.current(state.name) for state in states}
    show(environment_table(states, current))
    return OK


@app.command
def check(name: str, /, *, output: Output = "text") -> int:
    """Compare what an environment really runs with what the ledger says.

    For example:

        deliver env check production

    Args:
        name: The environment.
        output: `json` for programs.

    Returns:
        0 when both agree and nothing is left unfinished, else 1.
    """
    from prefect_delivery.blocks.environment import find_environment

    ledger = Ledger.open()
    state = ledger.environments.get(name)
    known = {state.name: {"kind": state.kind, **state.configuration}}
    target = find_environment(state.name, known)
    found = Finding(
        environment=state.name,
        observed=target.observe(),
        recorded=state.current,
        locked=state.locked,
        unfinished=[r.id for r in ledger.rollouts.unfinished(state.name)],
    )
    if output == "json":
        write_json(asdict(found) | {"ok": found.ok})
    else:
        _tell(found)
    return OK if found.ok else FAILED


@app.command
def unlock(
    name: str, /, *, message: Annotated[str, Parameter(name=["--message", "-m"])]
) -> int:
    """Allow rollouts into an environment again, after a rollback has failed there.

    For example:

        deliver env unlock production -m "disk replaced, old release serves"

    Args:
        name: The environment.
        message: What was done; kept in the ledger.
    """
    ledger = Ledger.open()
    found = ledger.environments.get(name).name
    ledger.environments.unlock(found, by=control.person(), reason=message)
    write(f"{found} is unlocked")
    write(f"  check: deliver env check {found}")
    return OK


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What an environment runs and what is known of it.

    Attributes:
        observed: Digest of the release that really serves.
        recorded: Digest of the release that the ledger has as current.
        unfinished: Ids of rollouts that have not ended.
    """

    environment: str
    observed: str | None
    recorded: str | None
    locked: str | None
    unfinished: list[str]

    @property
    def ok(self) -> bool:
        agree = self.observed == self.recorded
        return agree and not self.locked and not self.unfinished


def _tell(found: Finding) -> None:
    agree = found.observed == found.recorded
    observed, recorded = _release(found.observed), _release(found.recorded)
    if agree:
        write(f"✓ {found.environment} runs {observed}, as the ledger says")
    else:
        write(f"✗ {found.environment} runs {observed}, the ledger says {recorded}")
    for rollout in found.unfinished:
        write(f"✗ rollout {rollout} has not ended")
    if found.locked:
        write(f"✗ locked: {one_line(found.locked)}")
        write(f'  next: deliver env unlock {found.environment} -m "..."')
    elif found.unfinished:
        write("  next: deliver reconcile")
    elif not agree:
        write("  next: deliver run")


def _release(digest: str | None) -> str:
    return f"release {short(digest)}" if digest else "nothing"
