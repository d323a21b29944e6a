"""Reads the appspec of hosts: files, permissions and scripts."""

import re
from typing import Any, cast

from prefect_delivery.appspec.models import (
    HOST_EVENTS,
    LONGEST,
    RESERVED_EVENTS,
    Copied,
    Exists,
    HostAppspec,
    Permission,
    Script,
    System,
)
from prefect_delivery.appspec.values import Section
from prefect_delivery.buildspec.values import Values
from prefect_delivery.definition.findings import Path, listed, meant, named

SECTIONS = ("version", "os", "files", "file_exists_behavior", "permissions", "hooks")
_MODE = re.compile(r"[0-7]{1,4}")


def read_hosts(data: Any, values: Values) -> HostAppspec:
    """An appspec of hosts, as far as it can be read."""
    top = Section(data, (), SECTIONS, values)
    system = values.choice(top.text("os"), top.at("os"), ("linux", "windows"))
    if "os" not in top:
        values.wrong((), "an appspec of hosts needs 'os'", hint="os: linux")
    choices = ("DISALLOW", "OVERWRITE", "RETAIN")
    place = top.at("file_exists_behavior")
    exists = values.choice(top.text("file_exists_behavior"), place, choices)
    windows = system == "windows"
    if windows and "permissions" in top:
        values.wrong(top.at("permissions"), "'permissions' are for linux", key=True)
    return HostAppspec(
        os=cast("System", system or "linux"),
        files=tuple(
            _copied(item, path, windows, values) for path, item in top.items("files")
        ),
        exists=cast("Exists | None", exists),
        permissions=tuple(
            _permission(item, path, values) for path, item in top.items("permissions")
        ),
        hooks=_hooks(top.get("hooks"), top.at("hooks"), values),
        notes=tuple(values.notes),
    )


def _copied(data: Any, path: Path, windows: bool, values: Values) -> Copied:
    item = Section(data, path, ("source", "destination"), values)
    found = Copied(source=item.needed("source"), destination=item.needed("destination"))
    _inside(found.source, item.at("source"), values)
    absolute = found.destination.startswith("/") or windows
    if found.destination and not absolute:
        message = f"'destination' must begin with '/', not {named(found.destination)}"
        values.wrong(item.at("destination"), message)
    return found


def _inside(place: str, path: Path, values: Values) -> None:
    if ".." in re.split(r"[/\\]", place):
        values.wrong(path, f"{named(place)} leads out of the bundle")


def _permission(data: Any, path: Path, values: Values) -> Permission:
    keys = ("object", "pattern", "except", "owner", "group", "mode", "acls")
    item = Section(data, path, (*keys, "context", "type"), values)
    mode = item.text("mode")
    if mode and not _MODE.fullmatch(mode):
        hint = "mode: 755"
        message = f"'mode' must be octal digits, not {named(mode)}"
        values.wrong(item.at("mode"), message, hint=hint)
    types = item.texts("type")
    for each in types:
        values.choice(each, item.at("type"), ("file", "directory"))
    context = values.map_of_text(item.get("context"), item.at("context"))
    values.known(context, ("user", "type", "range"), item.at("context"))
    if "context" in item and not context.get("type"):
        values.wrong(item.at("context"), "'context' needs 'type'", key=True)
    target = item.needed("object")
    if target and not target.startswith("/"):
        values.wrong(item.at("object"), "'object' must begin with '/'")
    return Permission(
        object=target,
        pattern=item.text("pattern") or "**",
        exclude=item.texts("except"),
        owner=item.text("owner"),
        group=item.text("group"),
        mode=mode,
        acls=item.texts("acls"),
        context=context,
        types=types or ("file", "directory"),
    )


def _hooks(data: Any, path: Path, values: Values) -> dict[str, tuple[Script, ...]]:
    hooks = {}
    for event, scripts in values.mapping(data, path).items():
        place = (*path, event)
        if event in RESERVED_EVENTS:
            message = f"{named(event)} takes no scripts"
            hint = f"events with scripts: {listed(HOST_EVENTS, limit=12)}"
            values.wrong(place, message, key=True, hint=hint)
        elif event not in HOST_EVENTS:
            known = meant(event, HOST_EVENTS)
            values.notes.append(f"{named(event)} is no lifecycle event{known}")
        hooks[event] = _scripts(scripts, place, values)
    return {event: hooks[event] for event in HOST_EVENTS if event in hooks}


def _scripts(data: Any, path: Path, values: Values) -> tuple[Script, ...]:
    if data is None:
        return ()
    if not isinstance(data, list):
        values.wrong(path, f"{named(path[-1])} must be a list of scripts")
        return ()
    found = []
    explicit = 0
    for index, item in enumerate(data):
        script = Section(item, (*path, index), ("location", "timeout", "runas"), values)
        location = script.needed("location")
        _inside(location, script.at("location"), values)
        timeout = script.number("timeout", 1, LONGEST)
        explicit += timeout or 0
        found.append(
            Script(
                location=location,
                timeout=timeout or LONGEST,
                runas=script.text("runas"),
            )
        )
    if explicit > LONGEST:
        message = f"the scripts of {named(path[-1])} may take {explicit} s together"
        values.wrong(path, f"{message}; at most {LONGEST} are allowed", key=True)
    return tuple(found)
