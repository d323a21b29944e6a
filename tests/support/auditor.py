"""The auditor: says what does not hold after a fault, whatever the fault was.

The invariants are those of DESIGN.md and docs/reliability.md, I1 to I12. They are judged
by what the tables, the audit log, the targets and the files say, not by asking the code
that wrote them.
"""

from collections.abc import Iterable, Mapping

from audit_case import Case
from invariants import INVARIANTS

from prefect_delivery.ledger import Ledger
from prefect_delivery.rollout import Target


def audit(
    ledger: Ledger,
    environments: Mapping[str, Target] | None = None,
    *,
    secrets: Iterable[str] = (),
    effects: Iterable[str] = (),
) -> None:
    """Check every invariant.

    Args:
        environments: The real targets, by the ledger's name for them.
        secrets: Values that must be nowhere in clear: in no table, log or artifact.
        effects: Idempotency keys in the order in which a target has acted on them.

    Raises:
        AssertionError: Something does not hold; names all that does not.
    """
    found = findings(Case(ledger, environments or {}, [*secrets], [*effects]))
    assert not found, "\n".join(found)


def findings(case: Case) -> list[str]:
    """All that does not hold, each with the name of its invariant."""
    return [
        f"{name}: {finding}"
        for name, check in INVARIANTS.items()
        for finding in check(case)
    ]
