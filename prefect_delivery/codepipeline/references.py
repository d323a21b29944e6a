"""Variables in both languages: namespaces that differ, and lines for a shell."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from prefect_delivery.definition.normal import default_namespace
from prefect_delivery.definition.variables import resolve

_RESERVED = {"variables", "execution", "pipeline"}
_REFERENCE = re.compile(r"#\{([A-Za-z0-9@_-]+)\.([A-Za-z0-9@_-]+)\}")


def namespaces_of(actions: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[Any, str]:
    """Our namespace of each action, by stage and name, where it is not its name.

    With us each action has one, so that a namespace that somebody chose may be the name
    of another action, which then gets another.
    """
    found = [(stage, action) for stage, action in actions]
    chosen = {action["namespace"] for _, action in found if "namespace" in action}
    taken = chosen | {default_namespace(action["name"]) for _, action in found}
    result: dict[Any, str] = {}
    for stage, action in found:
        own = default_namespace(action["name"])
        wanted = action.get("namespace", own)
        if wanted in _RESERVED or ("namespace" not in action and wanted in chosen):
            wanted = _free(f"{wanted}-action", taken)
            taken.add(wanted)
        if wanted != own:
            result[stage, action["name"]] = wanted
    return result


def ours(value: Any, renamed: Mapping[str, str]) -> Any:
    """A value with CodePipeline's references written as ours.

    Args:
        renamed: Namespaces that have another name with us.
    """

    def reference(namespace: str, name: str) -> str:
        if (namespace, name) == ("codepipeline", "PipelineExecutionId"):
            return "#{execution.id}"
        return f"#{{{renamed.get(namespace, namespace)}.{name}}}"

    return resolve(value, reference)


def theirs(value: Any) -> Any:
    """A value with our references written as CodePipeline's."""

    def reference(namespace: str, name: str) -> str:
        if (namespace, name) == ("execution", "id"):
            return "#{codepipeline.PipelineExecutionId}"
        return f"#{{{namespace}.{name}}}"

    return resolve(value, reference)


def used(value: Any) -> set[str]:
    """Namespaces that a value refers to."""
    found: list[str] = []

    def reference(namespace: str, name: str) -> str:
        found.append(namespace)
        return name

    resolve(value, reference)
    return set(found)


def for_shell(
    commands: list[str], taken: Iterable[str]
) -> tuple[list[str], dict[str, str]]:
    """Commands that read variables from the environment, and that environment.

    CodePipeline pastes values into the commands; with us they never become part of a
    command's text.

    Args:
        taken: Names of environment variables that mean something else.
    """
    names: dict[str, str] = {}
    used_names = set(taken)

    def name_of(reference: str) -> str:
        if reference not in names:
            name = re.sub(r"\W", "_", reference[2:-1]).upper()
            name = name if name[0].isalpha() else f"V_{name}"
            names[reference] = _free(name, used_names, "_")
            used_names.add(names[reference])
        return names[reference]

    changed = [_for_shell(command, name_of) for command in commands]
    return changed, {name: reference for reference, name in names.items()}


def _for_shell(command: str, name_of: Any) -> str:
    parts, end = [], 0
    for match in _REFERENCE.finditer(command):
        before = command[: match.start()]
        value = f"${{{name_of(match[0])}}}"
        # Nothing is replaced within single quotes: leave them for the moment.
        quoted = f"'\"{value}\"'" if _in_single_quotes(before) else value
        parts += [command[end : match.start()], quoted]
        end = match.end()
    return "".join([*parts, command[end:]])


def _in_single_quotes(text: str) -> bool:
    quote = ""
    escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char in "'\"" and quote in {"", char}:
            quote = "" if quote else char
    return quote == "'"


def _free(name: str, taken: Iterable[str], joint: str = "-") -> str:
    known, number, free = set(taken), 1, name
    while free in known:
        number += 1
        free = f"{name}{joint}{number}"
    return free
