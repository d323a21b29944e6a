"""What actions that run lines of shell share: a workspace, a script, its outcome."""

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from prefect_delivery.actions import ActionFailed, Artifact, Job, Patterns, ShellLine
from prefect_delivery.containers import failure_of_container
from prefect_delivery.lines import MIB
from prefect_delivery.masking import Masker
from prefect_delivery.process import clean_environment, failure_of_process
from prefect_delivery.secrets import fetch_secrets
from prefect_delivery.tasks.variables import read_variables

SHOWN_COMMAND = 100
"""Characters of a command that an error names it by."""

Commands = Annotated[list[ShellLine], Field(min_length=1)]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Script:
    """Lines of shell, and what they run with; the fields are those of the actions.

    Attributes:
        commands: Each a complete statement; they share one shell.
        image: Container image to run in; None for this machine.
        environment: Variables by name.
        secrets: References to secrets by the name of their variable.
        directory: Where the commands start, relative to the source.
        timeout: Minutes.
        memory: Megabytes (1024 * 1024 bytes).
    """

    commands: list[str]
    image: str | None
    environment: dict[str, str]
    secrets: dict[str, str]
    directory: str
    timeout: float
    memory: int | None


class Workspace:
    """The unpacked inputs of a script, and the run of the script on them.

    Attributes:
        directory: Where the commands start; outputs are looked for here.
        masker: Hides the script's secrets.
    """

    def __init__(self, folder: Path, script: Script, job: Job) -> None:
        self._folder = folder
        self._script = script
        self._job = job
        self._inputs: dict[str, str] = {}
        self._private = folder / "run"
        self._secrets: dict[str, str] = {}
        self.directory = folder / "source"
        self.masker = Masker([])

    def unpack(self, source: Artifact, extra: Mapping[str, Artifact]) -> None:
        """Write the inputs into the workspace."""
        for name in ("home", "inputs", "run"):
            (self._folder / name).mkdir()
        source.unpack(self.directory)
        for name, artifact in extra.items():
            place = self._folder / "inputs" / name
            artifact.unpack(place)
            self._inputs[_input_variable(name)] = str(place)
        self.directory = _inside(self.directory, self._script.directory)

    def run(self) -> str | None:
        """Run the script.

        Returns:
            How it failed, in words that name the line; None when it succeeded.

        Raises:
            ActionFailed: It was stopped, or could not be started.
        """
        self._secrets = fetch_secrets(self._script.secrets)
        self.masker = Masker(self._secrets.values())
        environment = self._environment()
        self._write_script()
        failure = self._perform(environment)
        if failure and self._job.cancelled.is_set():
            raise ActionFailed(self._job.reason)
        return f"'{self._current_command()}' {failure}" if failure else None

    def variables(self) -> dict[str, str]:
        """The output variables that the script set.

        Raises:
            ActionFailed: They are malformed, too large, or hold a secret.
        """
        found = read_variables(self._private / "output")
        for name, value in found.items():
            if self.masker.line(value) != value:
                raise ActionFailed(f"output variable '{name}' holds a secret")
        return found

    def keep(self, outputs: Patterns) -> dict[str, Artifact]:
        """Store what the script left, by artifact name.

        Raises:
            ArtifactError: A pattern matches nothing, or the store has no room.
        """
        return {name: self._kept(patterns) for name, patterns in outputs.items()}

    def _kept(self, patterns: list[str]) -> Artifact:
        match patterns:
            case [folder] if folder.endswith("/"):
                # `dist/` means what is in that folder, not the folder itself.
                return Artifact.of(_inside(self.directory, folder, "the workspace"))
            case _:
                return Artifact.of(self.directory, patterns)

    def _perform(self, environment: Mapping[str, str]) -> str | None:
        argv = ["/bin/sh", "-e", str(self._private / "script")]
        memory = self._script.memory * MIB if self._script.memory else None
        if self._script.image is None:
            return failure_of_process(
                argv,
                cwd=self.directory,
                env=clean_environment(environment),
                on_line=self._job.log,
                timeout=self._script.timeout * 60,
                memory=memory,
                cancelled=self._job.cancelled,
                mask=self.masker.line,
            )
        return failure_of_container(
            argv,
            image=self._script.image,
            folder=self._folder,
            cwd=self.directory,
            env={"CI": "true", "HOME": str(self._folder / "home"), **environment},
            key=self._job.key,
            on_line=self._job.log,
            timeout=self._script.timeout * 60,
            memory=memory,
            cancelled=self._job.cancelled,
            mask=self.masker.line,
        )

    def _environment(self) -> dict[str, str]:
        """The script's variables, without those that every command gets."""
        ours = {"DELIVERY_OUTPUT": str(self._private / "output"), **self._inputs}
        groups = [self._script.environment, self._secrets, ours]
        names = [name for group in groups for name in group]
        for name in names:
            if not _VARIABLE.fullmatch(name):
                raise ActionFailed(f"'{name}' is no name of an environment variable")
            if names.count(name) > 1:
                raise ActionFailed(f"environment variable '{name}' is set twice")
        merged = {name: value for group in groups for name, value in group.items()}
        for name, value in merged.items():
            if "\0" in value:
                raise ActionFailed(f"environment variable '{name}' holds a zero byte")
        return merged

    def _write_script(self) -> None:
        # The number of the command that runs is kept beside it, to name it in errors.
        note = shlex.quote(str(self._private / "current"))
        parts = [
            f"printf %s {number} >| {note}\n"
            f"printf '%s\\n' {shlex.quote(f'$ {command}')}\n"
            f"{command}\n"
            for number, command in enumerate(self._script.commands)
        ]
        (self._private / "output").touch()
        (self._private / "script").write_text("".join(parts))

    def _current_command(self) -> str:
        note = self._private / "current"
        number = note.read_bytes()[:9].decode(errors="replace") if note.exists() else ""
        commands = self._script.commands
        if not number.isascii() or not number.isdigit() or int(number) >= len(commands):
            return "/bin/sh"
        first, *more = commands[int(number)].strip().split("\n")
        cut = more or len(first) > SHOWN_COMMAND
        return first[:SHOWN_COMMAND] + (" ..." if cut else "")


@contextmanager
def workspace(
    source: Artifact, extra: Mapping[str, Artifact], script: Script, job: Job
) -> Iterator[Workspace]:
    """A workspace with the inputs in it; removed with all it holds when left.

    Raises:
        ActionFailed: The script's directory is not in the source.
        ArtifactError: An input is missing, corrupted or unsafe.
    """
    with job.workspace() as folder:
        made = Workspace(folder, script, job)
        made.unpack(source, extra)
        yield made


def _inside(tree: Path, directory: str, of: str = "the source") -> Path:
    found = (tree / directory).resolve()
    if not found.is_relative_to(tree.resolve()):
        raise ActionFailed(f"directory '{directory}' leads out of {of}")
    if not found.is_dir():
        raise ActionFailed(f"{of} has no directory '{directory}'")
    return found


def _input_variable(name: str) -> str:
    return "ARTIFACT_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
