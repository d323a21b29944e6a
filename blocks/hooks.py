"""Commands of a person's own around a rollout."""

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict, Field

from prefect_delivery.errors import ActionFailed
from prefect_delivery.process import clean_environment, run_process
from prefect_delivery.rollout import HookTime


class Hooks(BaseModel):
    """Commands of a person's own around a rollout, each a line for `/bin/sh -e`.

    They run on the machine that carries out the rollout, and find RELEASE (its digest),
    ENVIRONMENT (its name), URL and, as VARIABLE_<NAME>, the release's variables in their
    environment. One that was interrupted is run again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: list[str] = Field(
        default_factory=list,
        description="Run when the release is ready and has no traffic yet.",
    )
    after: list[str] = Field(
        default_factory=list,
        description="Run when the release has all traffic; a failure undoes it.",
    )
    on_rollback: list[str] = Field(
        default_factory=list,
        description="Run after a failed release was taken back.",
    )
    timeout: float = Field(
        default=10, gt=0, le=1440, description="Minutes until one command is stopped."
    )

    def run(
        self,
        when: HookTime,
        *,
        folder: Path | None,
        facts: Mapping[str, str],
        variables: Mapping[str, str],
        log: Callable[[str], None],
        cancelled: threading.Event | None = None,
    ) -> None:
        """Run the commands of one moment, one after the other.

        Args:
            folder: Where they run; somewhere temporary when it is not there.
            facts: Environment variables that every command finds.
            variables: The release's; see the class for their names.

        Raises:
            ActionFailed: A command failed, hung or was cancelled; names it.
        """
        lines: list[str] = getattr(self, when)
        named = {_name_of(name): text for name, text in variables.items()}
        with TemporaryDirectory() as nowhere:
            for line in lines:
                log(f"{when}: {line}")
                try:
                    run_process(
                        ["/bin/sh", "-ec", line],
                        cwd=folder if folder and folder.is_dir() else Path(nowhere),
                        env=clean_environment({**named, **facts}),
                        on_line=log,
                        timeout=self.timeout * 60,
                        cancelled=cancelled,
                    )
                except ActionFailed as failure:
                    raise ActionFailed(f"hook '{line}': {failure}") from failure


def _name_of(variable: str) -> str:
    return "VARIABLE_" + re.sub(r"[^A-Za-z0-9]", "_", variable).upper()
