"""The command `init`: a first definition that fits the project."""

import json
import re
from pathlib import Path

from prefect_delivery.cli.codes import OK
from prefect_delivery.cli.definitions import DEFAULT
from prefect_delivery.cli.schemas import find_schema
from prefect_delivery.cli.templates import Kind, prefect_yaml, render
from prefect_delivery.cli.terminal import one_line, write
from prefect_delivery.errors import Refused

SCHEMA = Path(".delivery/schema.json")
PREFECT = Path("prefect.yaml")

_MARKS: dict[Kind, tuple[str, ...]] = {
    "python": ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt"),
    "node": ("package.json",),
    "static": ("index.html",),
}


def init(
    folder: Path = Path(),
    /,
    *,
    template: Kind | None = None,
    from_codepipeline: Path | None = None,
) -> int:
    """Write a delivery.yaml that fits this project.

    A file that is there already is never overwritten.

    For example:

        deliver init
        deliver init --template node
        deliver init --from-codepipeline pipeline.json

    Args:
        folder: The project.
        template: The kind of project; by default what the files in it tell.
        from_codepipeline: A declaration or template to write it from.
    """
    target = folder / DEFAULT
    if target.exists():
        raise Refused(f"{target} is already there", hint="deliver validate")
    if from_codepipeline:
        kind, text = from_codepipeline.name, _imported(from_codepipeline)
    else:
        kind = template or _detect(folder)
        text = render(
            kind,
            name=_name(folder.resolve().name),
            url=".",
            branch=_branch(folder),
            schema=SCHEMA.as_posix(),
        )
    _write_new(target, text)
    if not (folder / SCHEMA).exists():
        _write_new(folder / SCHEMA, json.dumps(find_schema(None).schema, indent=1))
    if not (folder / PREFECT).exists():
        _write_new(folder / PREFECT, prefect_yaml(_name(folder.resolve().name)))
    write(f"wrote {target} ({kind}, {len(text.splitlines())} lines)")
    if not (folder / ".git").exists():
        write("  this is no git repository yet: git init && git add . && git commit")
    write("  next: deliver validate && deliver run --local")
    return OK


def _imported(file: Path) -> str:
    from prefect_delivery.cli.exchange import imported_text

    schema = f"# yaml-language-server: $schema={SCHEMA.as_posix()}\n"
    return schema + imported_text(file)[0]


def _detect(folder: Path) -> Kind:
    for kind, marks in _MARKS.items():
        if any((folder / mark).is_file() for mark in marks):
            return kind
    known = ", ".join(mark for marks in _MARKS.values() for mark in marks)
    raise Refused(
        f"cannot tell what kind of project this is (none of {known})",
        hint=f"deliver init --template {'|'.join(_MARKS)}",
    )


def _name(folder: str) -> str:
    """The folder's name as a pipeline may be named, and as YAML reads as text."""
    name = re.sub(r"[^A-Za-z0-9@_-]+", "-", folder).strip("-@")[:90]
    plain = re.match(r"[A-Za-z]", name) and name.lower() not in {
        "null",
        "true",
        "false",
    }
    return name if plain else f"app-{name}".rstrip("-")


def _branch(folder: Path) -> str:
    """The branch that is checked out; main where there is none."""
    head = folder / ".git" / "HEAD"
    if not head.is_file():
        return "main"
    branch = head.read_text(encoding="utf-8").partition("refs/heads/")[2].strip()
    return one_line(branch) if re.fullmatch(r"[\w./-]+", branch) else "main"


def _write_new(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Refused(f"{path} is already there", hint="deliver validate") from None
