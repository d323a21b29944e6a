"""From text to a buildspec, or all that is wrong with it.

What CodeBuild passes over is passed over and noted: unknown keys, empty sections, a
single text where a list is meant. What it refuses is refused, with the place.
"""

from typing import Any

from ruamel.yaml.events import Event

from prefect_delivery.buildspec.batch import read_batch
from prefect_delivery.buildspec.failure import on_failure
from prefect_delivery.buildspec.models import (
    COVERAGE_FORMATS,
    PHASES,
    TEST_FORMATS,
    Buildspec,
    Cache,
    Env,
    Files,
    OnFailure,
    Phase,
    PhaseName,
    ReportGroup,
)
from prefect_delivery.buildspec.values import Values
from prefect_delivery.definition.document import Place
from prefect_delivery.definition.findings import Path, listed, meant, named
from prefect_delivery.definition.reader import Reader

VERSIONS = ("0.1", "0.2")
MOST_GROUPS = 5
MOST_FALLBACKS = 5
SHELLS = ("bash", "sh", "/bin/bash", "/bin/sh", "powershell.exe", "pwsh", "cmd.exe")

_NOTHING = {"", "~", "null", "Null", "NULL"}
_SECTIONS = (
    *("version", "run-as", "env", "proxy", "batch", "phases"),
    *("reports", "artifacts", "cache"),
)
_COLON = "put a command that holds ': ' in quotes, or after '- |' in lines of its own"


class _Reader(Reader):
    """Takes every scalar as it is written: a version 3.10 is not the number 3.1."""

    def _resolved(self, value: str, place: Place) -> Any:
        return None if value in _NOTHING else value

    def _check_tag(self, event: Event) -> None:
        """CodeBuild passes over tags, such as `!Sub` of a template."""


def load_buildspec(text: str, file: str) -> Buildspec:
    """Read a buildspec, YAML or JSON.

    Args:
        file: Name of the file, for messages.

    Raises:
        DefinitionError: With everything that is wrong, each at its place.
    """
    document = _Reader(text, file).document()
    values = Values()
    buildspec = _buildspec(document.root.data, values)
    if values.findings:
        raise document.error(values.findings)
    return buildspec


def _buildspec(root: Any, values: Values) -> Buildspec:
    data = values.mapping(root, ())
    if not isinstance(root, dict):
        if root is None:
            values.wrong((), "a buildspec must be a mapping of names to values")
        return Buildspec(version="")
    version = _version(data, values)
    values.known(
        data,
        [*_SECTIONS, "environment_variables"] if version == "0.1" else _SECTIONS,
        (),
    )
    if "proxy" in data:
        values.notes.append("'proxy' has no effect here")
    phases, runtimes = _phases(data, values)
    artifacts = values.mapping(data.get("artifacts"), ("artifacts",))
    return Buildspec(
        version=version,
        env=_env(data, values, version),
        phases=phases,
        runtimes=runtimes,
        reports=_reports(data.get("reports"), values),
        artifacts=_files(artifacts, values, ("artifacts",)) if artifacts else None,
        secondary=_secondary(artifacts, values),
        cache=_cache(data.get("cache"), values),
        batch=read_batch(data.get("batch"), values),
        notes=tuple(values.notes),
    )


def _version(data: dict[str, Any], values: Values) -> str:
    version = values.text(data.get("version"), ("version",))
    if version is None and "version" not in data:
        values.wrong((), "a buildspec needs a version", hint="version: 0.2")
    elif version not in VERSIONS and (version or data["version"] is None):
        message = f"buildspec version {named(version or '')} is not supported"
        values.wrong(("version",), message, hint=f"use {listed(VERSIONS)}")
    return version or ""


def _env(data: dict[str, Any], values: Values, version: str) -> Env:
    path: Path = ("env",)
    env = values.mapping(data.get("env"), path)
    keys = (
        *("shell", "variables", "parameter-store", "exported-variables"),
        *("secrets-manager", "git-credential-helper"),
    )
    values.known(env, keys, path)
    if values.flag(env.get("git-credential-helper"), (*path, "git-credential-helper")):
        values.notes.append("'env/git-credential-helper' has no effect here")
    variables = values.map_of_text(env.get("variables"), (*path, "variables"))
    if version == "0.1":
        place: Path = ("environment_variables",)
        old = values.mapping(data.get("environment_variables"), place)
        plain = values.map_of_text(old.get("plaintext"), (*place, "plaintext"))
        variables = {**plain, **variables}
    for name in variables:
        if name.startswith("CODEBUILD_"):
            values.notes.append(f"variable {named(name)} is CodeBuild's own")
    shell = values.choice(env.get("shell"), (*path, "shell"), SHELLS)
    exported = values.texts(
        env.get("exported-variables"), (*path, "exported-variables")
    )
    return Env(
        shell=(shell or "sh").removeprefix("/bin/"),
        variables=variables,
        parameters=values.map_of_text(
            env.get("parameter-store"), (*path, "parameter-store")
        ),
        secrets=values.map_of_text(
            env.get("secrets-manager"), (*path, "secrets-manager")
        ),
        exported=tuple(exported),
    )


def _phases(
    data: dict[str, Any], values: Values
) -> tuple[tuple[Phase, ...], dict[str, str]]:
    phases = values.mapping(data.get("phases"), ("phases",))
    if data.get("phases") is None and not data.get("batch"):
        hint = "phases:\n  build:\n    commands: [make]"
        values.wrong((), "a buildspec needs 'phases'", hint=hint)
    for name in phases:
        if name not in PHASES:
            message = f"there is no phase {named(name)}{meant(name, PHASES)}"
            hint = f"the phases are {listed(PHASES, last='and')}"
            values.wrong(("phases", name), message, hint=hint, key=True)
    user = values.text(data.get("run-as"), ("run-as",))
    found = [
        _phase(name, phases[name], values, user) for name in PHASES if name in phases
    ]
    install = phases.get("install")
    wanted = install.get("runtime-versions") if isinstance(install, dict) else None
    place = ("phases", "install", "runtime-versions")
    return tuple(found), values.map_of_text(wanted, place)


def _phase(name: PhaseName, data: Any, values: Values, user: str | None) -> Phase:
    path: Path = ("phases", name)
    phase = values.mapping(data, path)
    keys = ["run-as", "on-failure", "commands", "finally", "steps"]
    keys += ["runtime-versions"] if name == "install" else []
    values.known(phase, keys, path)
    return Phase(
        name=name,
        user=values.text(phase.get("run-as"), (*path, "run-as")) or user,
        steps=bool(phase.get("steps")),
        on_failure=_on_failure(phase.get("on-failure"), values, path),
        commands=_commands(phase.get("commands"), values, (*path, "commands")),
        last=_commands(phase.get("finally"), values, (*path, "finally")),
    )


def _commands(data: Any, values: Values, path: Path) -> tuple[str, ...]:
    return tuple(values.texts(data, path, hint=_COLON))


def _on_failure(data: Any, values: Values, path: Path) -> OnFailure:
    place = (*path, "on-failure")
    text = values.text(data, place)
    if not text:
        return OnFailure()
    found = on_failure(text)
    if isinstance(found, OnFailure):
        return found
    values.wrong(place, found)
    return OnFailure()


def _reports(data: Any, values: Values) -> tuple[ReportGroup, ...]:
    groups = values.mapping(data, ("reports",))
    if len(groups) > MOST_GROUPS:
        values.wrong(
            ("reports",), f"a buildspec has at most {MOST_GROUPS} report groups"
        )
    return tuple(_group(name, group, values) for name, group in groups.items())


def _group(name: str, data: Any, values: Values) -> ReportGroup:
    path: Path = ("reports", name)
    group = values.mapping(data, path)
    values.known(
        group, ("files", "base-directory", "discard-paths", "file-format"), path
    )
    files = values.texts(group.get("files"), (*path, "files"))
    if not files:
        values.wrong(path, f"report group {named(name)} needs 'files'")
    formats = TEST_FORMATS + COVERAGE_FORMATS
    given = group.get("file-format")
    written = given.upper() if isinstance(given, str) else given
    values.flag(group.get("discard-paths"), (*path, "discard-paths"))
    return ReportGroup(
        name=name,
        files=tuple(files),
        base=values.text(group.get("base-directory"), (*path, "base-directory")),
        format=values.choice(written, (*path, "file-format"), formats) or "JUNITXML",
    )


def _files(data: dict[str, Any], values: Values, path: Path) -> Files:
    keys = (
        *("files", "name", "discard-paths", "base-directory", "exclude-paths"),
        *("enable-symlinks", "s3-prefix", "type"),
    )
    main = path == ("artifacts",)
    values.known(data, (*keys, "secondary-artifacts") if main else keys, path)
    if "s3-prefix" in data:
        values.notes.append("'s3-prefix' has no effect here")
    files = values.texts(data.get("files"), (*path, "files"))
    if "files" not in data:
        values.wrong(path, f"'{'/'.join(map(str, path))}' needs 'files'", key=True)
    return Files(
        files=tuple(files),
        name=values.text(data.get("name"), (*path, "name")),
        base=values.text(data.get("base-directory"), (*path, "base-directory")),
        flat=values.flag(data.get("discard-paths"), (*path, "discard-paths")),
        exclude=tuple(
            values.texts(data.get("exclude-paths"), (*path, "exclude-paths"))
        ),
        symlinks=values.flag(data.get("enable-symlinks"), (*path, "enable-symlinks")),
    )


def _secondary(artifacts: dict[str, Any], values: Values) -> dict[str, Files]:
    path: Path = ("artifacts", "secondary-artifacts")
    found = values.mapping(artifacts.get("secondary-artifacts"), path)
    return {
        name: _files(values.mapping(data, (*path, name)), values, (*path, name))
        for name, data in found.items()
    }


def _cache(data: Any, values: Values) -> Cache | None:
    path: Path = ("cache",)
    section = values.mapping(data, path)
    if not section:
        return None
    values.known(section, ("key", "fallback-keys", "action", "paths"), path)
    fallback = values.texts(section.get("fallback-keys"), (*path, "fallback-keys"))
    if len(fallback) > MOST_FALLBACKS:
        message = f"there are at most {MOST_FALLBACKS} fallback keys"
        values.wrong((*path, "fallback-keys"), message)
    action = values.choice(
        section.get("action"), (*path, "action"), ("restore", "save")
    )
    paths = values.texts(section.get("paths"), (*path, "paths"))
    if "paths" not in section:
        values.wrong(path, "'cache' needs 'paths'", key=True)
    return Cache(
        paths=tuple(paths),
        key=values.text(section.get("key"), (*path, "key")),
        fallback=tuple(fallback),
        restore=action != "save",
        save=action != "restore",
    )
