"""Looks which runtimes there are, and whether they are those a buildspec wants."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from prefect_delivery.errors import ActionFailed

_ASK = {
    "docker": "docker --version",
    "dotnet": "dotnet --version",
    "golang": "go version",
    "java": "java -version",
    "nodejs": "node --version",
    "php": "php --version",
    "python": "python3 --version || python --version",
    "ruby": "ruby --version",
    "rust": "rustc --version",
}


def probe_of(
    token: str, runtimes: Iterable[str], keys: Iterable[str], tools: Path
) -> str:
    """A program that says which runtimes there are, and what the keys stand for."""
    lines = [f"PATH={shlex.quote(str(tools))}:$PATH; export PATH"]
    for runtime in runtimes:
        if ask := _ASK.get(runtime):
            lines += [
                f"if said=$({{ {ask}; }} 2>&1); then",
                "  printf '%s\\n' \"$said\" | { read -r first;",
                f"  printf '%s\\n' \"{token} runtime-{runtime} $first\"; }}",
                "fi",
            ]
    for number, key in enumerate(keys):
        text = key.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f"printf '%s\\n' \"{token} key-{number} {text}\"")
    return "\n".join([*lines, ""])


def check_runtime(runtime: str, wanted: str, found: str | None, *, exact: bool) -> str:
    """A line for the log on the runtime that is used.

    Args:
        found: What the runtime says of itself; None when it is not there.

    Raises:
        ActionFailed: It is not there, or is another than it must be.
    """
    if runtime not in _ASK:
        return f"runtime {runtime} {wanted}: not known, so not looked for"
    if found is None:
        raise ActionFailed(
            f"runtime {runtime} {wanted} is wanted, and there is none",
            hint="install it, choose an image that has it, or set 'runtimes: ignored'",
        )
    if _suits(wanted, found):
        return f"runtime {runtime} {wanted}: {found}"
    if exact:
        raise ActionFailed(
            f"runtime {runtime} {wanted} is wanted, and there is: {found}",
            hint="choose an image that has it, or set 'runtimes: present'",
        )
    return f"warning: runtime {runtime} {wanted} is wanted, but this is used: {found}"


def _suits(wanted: str, found: str) -> bool:
    want = re.search(r"[0-9]+(?:\.[0-9]+)*", wanted)
    have = re.search(r"[0-9]+(?:\.[0-9]+)*", found)
    if not want:
        return True  # `latest`
    if not have:
        return False
    parts = want[0].split(".")
    return have[0].split(".")[: len(parts)] == parts
