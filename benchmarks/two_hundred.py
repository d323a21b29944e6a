"""Ask for many executions at once on a team's installation, and print what they cost.

    python benchmarks/two_hundred.py --executions 200 --workers 2

Everything runs on this machine: PostgreSQL, Redis, two API replicas, the services, the
delivery server and the workers, started from deployments/team. It takes some minutes.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from deployed import until
from installation import MISSING, Installation, installation
from load import ask, deploy, figures, sample, sampled, states

ENDED = ["Completed", "Failed", "Cancelled"]
PATIENCE = 3600.0
"""Seconds that all of it may take."""


def watch(team: Installation, runs: list[UUID]) -> None:
    """Say how many have ended, until all have."""
    said = -1

    def are_over() -> bool:
        nonlocal said
        found = states(team, runs)
        ended = sum(found.get(name, 0) for name in ENDED)
        if ended != said:
            said = ended
            print(found, file=sys.stderr, flush=True)
        return ended == len(runs)

    until(are_over, "the end of all", PATIENCE, every=10)


def main() -> int:
    """Print figures as JSON; 1 when an execution did not end right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    if MISSING:
        parser.error(f"not installed: {', '.join(MISSING)}")
    with (
        tempfile.TemporaryDirectory() as folder,
        installation(Path(folder) / "team", WORKERS=str(chosen.workers)) as team,
    ):
        deployment = deploy(team, Path(folder) / "app")
        before, started = sample(team), time.monotonic()
        with sampled(team) as samples:
            runs = ask(team, deployment, chosen.executions)
            asked = round(time.monotonic() - started, 1)
            watch(team, runs)
            executions = team.ended("load", chosen.executions)
        ended = Counter(str(each.status) for each in executions)
        with team.ledger() as ledger:
            ledger.audit.verify()
        print(
            figures(
                samples,
                started,
                {
                    "executions": dict(ended),
                    "flow_runs": states(team, runs),
                    "seconds_to_ask": asked,
                    "mib_before": {
                        name: round(mib) for name, mib in before.memory.items()
                    },
                    "connections_before": before.connections,
                },
            )
        )
    return 0 if ended == {"succeeded": chosen.executions} else 1


if __name__ == "__main__":
    sys.exit(main())
