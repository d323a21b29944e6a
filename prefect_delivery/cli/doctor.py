"""The command `doctor`: does this machine have what deliveries need?"""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from prefect_delivery.cli.checks import Check, all_checks
from prefect_delivery.cli.codes import FAILED, OK
from prefect_delivery.cli.installation_checks import installation_checks
from prefect_delivery.cli.terminal import Format, one_line, write, write_json


def doctor(
    *, output: Annotated[Format, Parameter(name=["--output", "-o"])] = "text"
) -> int:
    """Check that this machine can deliver.

    Where a Prefect server is configured, it is looked at too: its database, messaging
    and replicas, its services, whether workers are online, and whether all share one
    ledger. Says what to do where something is missing; a circle marks what is optional.

    For example:

        deliver doctor
        deliver doctor -o json

    Args:
        output: `json` for programs.

    Returns:
        0, or 1 when something required is missing.
    """
    checks = [*all_checks(), *installation_checks()]
    if output == "json":
        write_json([asdict(check) for check in checks])
    else:
        for check in checks:
            _tell(check)
    return FAILED if any(c.required and not c.ok for c in checks) else OK


def _tell(check: Check) -> None:
    mark = "✓" if check.ok else "✗" if check.required else "○"
    write(f"{mark} {check.name:<15} {one_line(check.found)}")
    if not check.ok and check.remedy:
        write(f"  {'':<15} {check.remedy}")
