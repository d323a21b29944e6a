"""What is said between an action that runs elsewhere and whoever started it."""

from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter

from prefect_delivery.actions import Artifact, Outputs
from prefect_delivery.engine.resolve import Call
from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.errors import ActionFailed, DeliveryError

COMMAND: Final = "python -m prefect_delivery.flows.run_action"
"""What a worker starts for an action."""
TICKET: Final = "PREFECT_DELIVERY_TICKET"
SERVER: Final = "PREFECT_DELIVERY_SERVER_URL"
"""Environment variables of a job that carries out an action."""


@dataclass(frozen=True, kw_only=True)
class Errand:
    """An action for a process elsewhere: the call, and what its `Job` has to know."""

    key: str
    name: str
    pipeline: str
    execution: str
    call: Call

    def inputs(self) -> set[str]:
        """The digests of the artifacts that it reads."""
        found: set[str] = set()
        for refs in self.call.inputs.values():
            several = [refs] if isinstance(refs, ArtifactRef) else refs.values()
            found |= {ref.digest for ref in several}
        return found

    def secrets(self) -> set[str]:
        """The secrets that it refers to, as `fetch_secrets` takes them."""
        given = self.call.configuration.get("secrets")
        return set(map(str, given.values())) if isinstance(given, dict) else set()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an action that ran elsewhere left.

    Attributes:
        error: Why it failed; None when it succeeded.
        retryable: False when another attempt cannot help.
    """

    outputs: Outputs = field(default_factory=Outputs)
    error: str | None = None
    hint: str | None = None
    link: str | None = None
    retryable: bool = True

    def result(self) -> Outputs:
        """What the action returned.

        Raises:
            ActionFailed: It failed.
        """
        if self.error is None:
            return self.outputs
        raise ActionFailed(
            self.error, outputs=self.outputs, link=self.link, hint=self.hint
        )

    def artifacts(self) -> dict[str, Artifact]:
        return self.outputs.artifacts


def outcome_of(error: BaseException, *, retryable: bool) -> Outcome:
    """The outcome of an action that raised `error`."""
    ours = error if isinstance(error, DeliveryError) else None
    outputs = getattr(error, "outputs", None)
    return Outcome(
        outputs=outputs if isinstance(outputs, Outputs) else Outputs(),
        error=ours.message if ours else f"{type(error).__name__}: {error}",
        hint=ours.hint if ours else None,
        link=getattr(error, "link", None),
        retryable=retryable,
    )


ERRAND: Final = TypeAdapter(Errand)
OUTCOME: Final = TypeAdapter(Outcome)
