"""Commands on environments: look, stop, unlock, repair, quarantine and lift."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from cyclopts import App, Parameter

from prefect_delivery import control
from prefect_delivery.cli.codes import FAILED, OK
from prefect_delivery.cli.definitions import DEFAULT
from prefect_delivery.cli.terminal import Format, one_line, show, write, write_json
from prefect_delivery.cli.views import (
    environment_table,
    quarantine_line,
    release_title,
    short,
)
from prefect_delivery.definition import load_file
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger, Repair

Output = Annotated[Format, Parameter(name=["--output", "-o"])]

Reason = Annotated[str, Parameter(name=["--message", "-m", "--reason"])]
Flag = Annotated[bool, Parameter(negative="")]

app = App(name="env", help="Look at and repair environments.", help_format="markdown")


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
    for found in ledger.quarantine.list():
        write(quarantine_line(found, ledger.releases.get(found.release)))
    return OK


@app.command
def check(name: str, /, *, policy: Flag = False, output: Output = "text") -> int:
    """Compare what an environment really runs with what the ledger says.

    For example:

        deliver env check production
        deliver env check production --policy > policy.json

    Args:
        name: The environment.
        policy: Write the IAM policy that an environment in AWS needs instead; of one
            that nothing was deployed to, by its block or delivery.yaml.
        output: `json` for programs.

    Returns:
        0 when both agree and nothing is left unfinished, else 1.
    """
    if policy:
        write_json(_policy(name))
        return OK
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
        stopped=state.stopped,
        unfinished=[r.id for r in ledger.rollouts.unfinished(state.name)],
    )
    if output == "json":
        write_json(asdict(found) | {"ok": found.ok})
    else:
        _tell(found)
    return OK if found.ok else FAILED


def _policy(name: str) -> dict[str, Any]:
    """The policy for an environment, whether it was deployed to or not."""
    from prefect_delivery.blocks.aws_environment import AwsEnvironment
    from prefect_delivery.blocks.environment import find_environment
    from prefect_delivery.permissions import policy_of

    written = load_file(DEFAULT).environments if DEFAULT.is_file() else {}
    known = {
        state.name.rpartition("/")[2]: {**state.configuration, "kind": state.kind}
        for state in Ledger.open().environments.list()
        if name in {state.name, state.name.rpartition("/")[2]}
    }
    target = find_environment(name.rpartition("/")[2], {**written, **known})
    if not isinstance(target, AwsEnvironment):
        raise Refused(f"environment '{name}' is not in AWS, and needs no policy there")
    return policy_of(target.permissions())


@app.command
def unlock(name: str, /, *, message: Reason) -> int:
    """Allow rollouts into an environment again, after a rollback has failed there.

    It changes nothing at the target: see `deliver env repair` for that.

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


@app.command
def repair(
    name: str,
    /,
    *,
    back: Flag = False,
    on: Flag = False,
    to: str | None = None,
    message: Reason,
) -> int:
    """Bring an environment that is locked half-way to one release, and unlock it.

    For example:

        deliver env repair production --back -m "disk replaced"
        deliver env repair production --on -m "the canary looks fine"
        deliver env repair production --to 3c1f0aa2d1 -m "known to work"

    Args:
        name: The environment.
        back: Try the way back again that has failed, or undo what is held.
        on: Go on with the rollout that is held; its strategy begins again.
        to: Go to this release, by the beginning of its digest; it was let in before.
        message: Why; kept in the ledger.

    Returns:
        0 when the environment runs what was wanted, else 1.
    """
    from prefect_delivery import rollout
    from prefect_delivery.blocks.environment import find_environment

    if [back, on, to is not None].count(True) != 1:
        raise Refused(
            "choose one way: --back, --on or --to", hint="deliver env repair --help"
        )
    ledger = Ledger.open()
    state = ledger.environments.get(name)
    known = {state.name: {**state.configuration, "kind": state.kind}}
    target = find_environment(state.name, known)
    who = Repair(control.person(), message)
    if to is not None:
        wanted = ledger.releases.find(to).digest
        done = rollout.replace(ledger, target, state.name, wanted, who, write_line)
    else:
        way: rollout.Way = "on" if on else "back"
        done = rollout.repair(ledger, target, state.name, way, who, write_line)
    runs = release_title(ledger.releases.current(state.name))
    if done.status == "rollback-failed":
        write(f"✗ {state.name} is still locked: {one_line(done.reason or '')}")
        return FAILED
    write(f"✓ {state.name} runs {runs}")
    write(f"  check: deliver env check {state.name}")
    return OK


@app.command
def stop(name: str, /, *, message: Reason, output: Output = "text") -> int:
    """Stop all that runs in an environment; its releases stay.

    Whatever is deployed there next runs again. Safe to repeat.

    For example:

        deliver env stop staging -m "not needed over the weekend"

    Args:
        name: The environment.
        message: Why; kept in the ledger.
        output: `json` for programs.
    """
    from prefect_delivery import rollout
    from prefect_delivery.blocks.environment import find_environment

    ledger = Ledger.open()
    state = ledger.environments.get(name)
    known = {state.name: {**state.configuration, "kind": state.kind}}
    target = find_environment(state.name, known)
    rollout.shut_down(ledger, target, state.name, by=control.person(), reason=message)
    if output == "json":
        write_json(asdict(ledger.environments.get(state.name)))
        return OK
    write(f"{state.name} is stopped")
    write("  start: deliver run")
    return OK


@app.command
def quarantine(
    name: str, release: str | None = None, /, *, message: Reason = ""
) -> int:
    """Keep a release out of an environment; without one, show what is kept out.

    What is made of the same artifact, or of the same revisions, is kept out as well. A
    release that was rolled back is in quarantine already.

    For example:

        deliver env quarantine production
        deliver env quarantine production 3c1f0aa2d1 -m "wrong prices"

    Args:
        name: The environment.
        release: Beginning of its digest.
        message: Why; kept in the ledger.
    """
    ledger = Ledger.open()
    environment = ledger.environments.get(name).name
    if release is None:
        kept = ledger.quarantine.list(environment)
        for one in kept:
            write(quarantine_line(one, ledger.releases.get(one.release)))
        if not kept:
            write(f"{environment} keeps nothing out")
        return OK
    if not message:
        raise Refused("say why: -m REASON", hint="deliver env quarantine --help")
    found = ledger.releases.find(release)
    ledger.quarantine.put(
        environment, found.digest, by=control.person(), reason=message
    )
    write(f"{environment} keeps {release_title(found)} out")
    write(f"  lift: deliver env lift {environment} {short(found.digest)} -m REASON")
    return OK


@app.command
def lift(name: str, release: str, /, *, message: Reason) -> int:
    """Let a release into an environment again that is kept in quarantine.

    For example:

        deliver env lift production 3c1f0aa2d1 -m "the database was the reason"

    Args:
        name: The environment.
        release: Beginning of its digest.
        message: Why; kept in the ledger.
    """
    ledger = Ledger.open()
    environment = ledger.environments.get(name).name
    found = ledger.releases.find(release)
    ledger.quarantine.lift(
        environment, found.digest, by=control.person(), reason=message
    )
    write(f"{environment} lets {release_title(found)} in again")
    return OK


def write_line(line: str) -> None:
    write(f"  {one_line(line)}")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What an environment runs and what is known of it.

    Attributes:
        observed: Digest of the release that really serves.
        recorded: Digest of the release that the ledger has as current.
        stopped: By whom and why all was stopped; then nothing is to serve.
        unfinished: Ids of rollouts that have not ended.
    """

    environment: str
    observed: str | None
    recorded: str | None
    locked: str | None
    stopped: str | None
    unfinished: list[str]

    @property
    def agree(self) -> bool:
        return self.observed == (None if self.stopped else self.recorded)

    @property
    def ok(self) -> bool:
        return self.agree and not self.locked and not self.unfinished


def _tell(found: Finding) -> None:
    observed, recorded = _release(found.observed), _release(found.recorded)
    if found.agree and found.stopped:
        write(f"✓ {found.environment} is stopped, by {one_line(found.stopped)}")
    elif found.agree:
        write(f"✓ {found.environment} runs {observed}, as the ledger says")
    elif found.stopped:
        write(f"✗ {found.environment} runs {observed}, and was to be stopped")
        write(f'  next: deliver env stop {found.environment} -m "..."')
    else:
        write(f"✗ {found.environment} runs {observed}, the ledger says {recorded}")
    for rollout in found.unfinished:
        write(f"✗ rollout {rollout} has not ended")
    if found.locked:
        write(f"✗ locked: {one_line(found.locked)}")
        for way in ("repair {} --back", "repair {} --to RELEASE", "unlock {}"):
            write(f'  next: deliver env {way.format(found.environment)} -m "..."')
    elif found.unfinished:
        write("  next: deliver reconcile")
    elif not found.agree and not found.stopped:
        write("  next: deliver run")


def _release(digest: str | None) -> str:
    return f"release {short(digest)}" if digest else "nothing"
