"""The errors that this package raises on purpose.

DeliveryError
├── DefinitionError   a pipeline is written wrongly; nothing has run
├── Refused           a request cannot be carried out now; nothing has changed
├── ActionFailed      an action ran and did not succeed
├── RolloutFailed     a rollout did not succeed; says which release serves now
├── LeaseLost         somebody else owns what we were changing; we changed nothing more
├── ArtifactError     an artifact is missing, corrupted or unsafe; nothing was written
└── LedgerError       the ledger cannot be read or written

Data lives in attributes, words in `__str__`. `hint` is the next command or step for
the person who reads the message. Anything else that reaches a user is a bug of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class DeliveryError(Exception):
    """Base class of every error raised on purpose."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling of exceptions.
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(
    kind: type[DeliveryError], args: tuple[object, ...], state: dict[str, object]
) -> DeliveryError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong in a definition, and where.

    Attributes:
        file: Name of the file as the user gave it.
        line: Line number from 1; None where no place can be named.
        column: Column number from 1.
        text: The source line, for the caret.
        width: Columns to underline.
    """

    message: str
    file: str = "<definition>"
    line: int | None = None
    column: int = 1
    text: str = ""
    width: int = 1
    hint: str | None = None

    def __str__(self) -> str:
        if self.line is None:
            shown = [f"{self.file}: {self.message}"]
        else:
            shown = [f"{self.file}:{self.line}:{self.column}: {self.message}"]
            if self.text:
                margin = f"{self.line:>5} | "
                pad = " " * (len(margin) - 2) + "| " + " " * (self.column - 1)
                shown += [margin + self.text, pad + "^" * max(1, self.width)]
        return "\n".join([*shown, f"see: {self.hint}"] if self.hint else shown)


class DefinitionError(DeliveryError):
    """A pipeline is written wrongly. Raised before anything runs, with all problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = list(problems)


class Refused(DeliveryError):
    """A request cannot be carried out now; nothing has changed."""


class ActionFailed(DeliveryError):
    """An action ran and did not succeed.

    Attributes:
        outputs: What the action left behind all the same, such as test reports.
        link: Where a person can read more.
    """

    def __init__(
        self,
        message: str,
        *,
        outputs: object = None,
        link: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.outputs = outputs
        self.link = link


class RolloutFailed(DeliveryError):
    """A rollout did not succeed.

    Attributes:
        environment: Name of the environment.
        serving: Digest of the release that serves now; None when nothing does.
    """

    def __init__(
        self,
        message: str,
        *,
        environment: str,
        serving: str | None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.environment = environment
        self.serving = serving


class LeaseLost(DeliveryError):
    """Somebody else owns what we were changing; we changed nothing more."""


class ArtifactError(DeliveryError):
    """An artifact is missing, corrupted or unsafe; nothing was written."""


class LedgerError(DeliveryError):
    """The ledger cannot be read or written."""
