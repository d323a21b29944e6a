"""Reads `batch`, and expands a matrix or a fan-out into its builds."""

from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

from prefect_delivery.buildspec.models import Batch, BatchBuild
from prefect_delivery.buildspec.values import Values
from prefect_delivery.definition.findings import Path, listed, meant, named

KINDS = ("build-graph", "build-list", "build-matrix", "build-fanout")
MOST_BUILDS = 100
"""Builds of one batch, as many as CodeBuild allows."""

_ENV = ("compute-type", "fleet", "image", "privileged-mode", "type", "variables")


def read_batch(data: Any, values: Values) -> Batch | None:
    """The batch that `data` says; findings go to `values`."""
    path: Path = ("batch",)
    section = values.mapping(data, path)
    if not section:
        return None
    values.known(section, ("fast-fail", *KINDS), path)
    kinds = [kind for kind in KINDS if kind in section]
    if len(kinds) != 1:
        values.wrong(path, f"'batch' must have one of {listed(KINDS)}")
        return None
    read = {
        "build-graph": _list,
        "build-list": _list,
        "build-matrix": _matrix,
        "build-fanout": _fanout,
    }[kinds[0]]
    builds = read(section[kinds[0]], values, (*path, kinds[0]))
    fast_fail = values.flag(section.get("fast-fail"), (*path, "fast-fail"))
    if len(builds) > MOST_BUILDS:
        values.wrong((*path, kinds[0]), f"a batch has at most {MOST_BUILDS} builds")
        return None
    return Batch(builds=tuple(builds), fast_fail=fast_fail)


def _list(data: Any, values: Values, path: Path) -> list[BatchBuild]:
    graph = path[-1] == "build-graph"
    if not isinstance(data, list) or not data:
        values.wrong(path, f"'{path[-1]}' must be a list of builds")
        return []
    builds: list[BatchBuild] = []
    places: dict[str, Path] = {}
    for index, item in enumerate(data):
        place = (*path, index)
        build = _build(values.mapping(item, place), values, place, graph=graph)
        if build is None:
            continue
        if build.identifier in places:
            message = f"two builds have the identifier {named(build.identifier)}"
            values.wrong((*place, "identifier"), message)
        places[build.identifier] = place
        builds.append(build)
    _check_graph(builds, places, values)
    return builds


def _build(
    data: dict[str, Any], values: Values, path: Path, *, graph: bool
) -> BatchBuild | None:
    keys = ["identifier", "buildspec", "debug-session", "env", "ignore-failure"]
    values.known(data, [*keys, "depend-on"] if graph else keys, path)
    identifier = values.text(data.get("identifier"), (*path, "identifier"))
    env = values.mapping(data.get("env"), (*path, "env"))
    values.known(env, _ENV, (*path, "env"))
    after = values.texts(data.get("depend-on"), (*path, "depend-on")) if graph else []
    build = BatchBuild(
        identifier=identifier or "",
        buildspec=values.text(data.get("buildspec"), (*path, "buildspec")),
        after=tuple(after),
        ignore_failure=values.flag(
            data.get("ignore-failure"), (*path, "ignore-failure")
        ),
        image=values.text(env.get("image"), (*path, "env", "image")),
        variables=values.map_of_text(env.get("variables"), (*path, "env", "variables")),
    )
    if not identifier:
        values.wrong(path, "a build of a batch needs an 'identifier'")
        return None
    return build


def _check_graph(
    builds: list[BatchBuild], places: dict[str, Path], values: Values
) -> None:
    waiting = {build.identifier: set(build.after) for build in builds}
    for build in builds:
        for index, name in enumerate(build.after):
            if name not in waiting:
                place = (*places[build.identifier], "depend-on", index)
                message = f"no build is called {named(name)}{meant(name, waiting)}"
                values.wrong(place, message)
                waiting[build.identifier].discard(name)
    while ready := [name for name, after in waiting.items() if not after]:
        for name in ready:
            del waiting[name]
        for after in waiting.values():
            after.difference_update(ready)
    if waiting:
        first = next(iter(waiting))
        message = f"builds depend on each other in a circle: {listed(waiting)}"
        values.wrong((*places[first], "depend-on"), message)


def _matrix(data: Any, values: Values, path: Path) -> list[BatchBuild]:
    section = values.mapping(data, path)
    values.known(section, ("static", "dynamic"), path)
    static = values.mapping(section.get("static"), (*path, "static"))
    values.known(static, ("ignore-failure", "env"), (*path, "static"))
    ignored = values.flag(
        static.get("ignore-failure"), (*path, "static", "ignore-failure")
    )
    fixed = values.mapping(static.get("env"), (*path, "static", "env"))
    base = BatchBuild(
        identifier="",
        ignore_failure=ignored,
        variables=values.map_of_text(
            fixed.get("variables"), (*path, "static", "env", "variables")
        ),
        image=values.text(fixed.get("image"), (*path, "static", "env", "image")),
    )
    dynamic = values.mapping(section.get("dynamic"), (*path, "dynamic"))
    values.known(dynamic, ("buildspec", "env"), (*path, "dynamic"))
    where: Path = (*path, "dynamic", "env")
    env = values.mapping(dynamic.get("env"), where)
    values.known(env, _ENV, where)
    axes: dict[tuple[str, str], list[str]] = {}
    for name, source, at in (
        ("buildspec", dynamic, (*path, "dynamic")),
        ("compute-type", env, where),
        ("image", env, where),
        ("type", env, where),
    ):
        if found := values.texts(source.get(name), (*at, name)):
            axes["", name] = found
    variables = values.mapping(env.get("variables"), (*where, "variables"))
    for name, choices in variables.items():
        found = values.texts(choices, (*where, "variables", name))
        if not found:
            values.wrong((*where, "variables", name), f"{named(name)} has no values")
        axes["variable", name] = found
    if prod(len(axis) for axis in axes.values()) > MOST_BUILDS:
        values.wrong(path, f"a batch has at most {MOST_BUILDS} builds")
        return []
    combined = [
        dict(zip(axes, chosen, strict=True)) for chosen in product(*axes.values())
    ]
    return [
        replace(
            base,
            identifier=f"build{number}",
            buildspec=chosen.get(("", "buildspec")),
            image=chosen.get(("", "image"), base.image),
            variables={
                **base.variables,
                **{name: text for (kind, name), text in chosen.items() if kind},
            },
        )
        for number, chosen in enumerate(combined)
    ]


def _fanout(data: Any, values: Values, path: Path) -> list[BatchBuild]:
    section = values.mapping(data, path)
    values.known(section, ("parallelism", "ignore-failure"), path)
    text = values.text(section.get("parallelism"), (*path, "parallelism")) or ""
    ignored = values.flag(section.get("ignore-failure"), (*path, "ignore-failure"))
    if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text)):
        values.wrong(path, "'build-fanout' needs 'parallelism', a number from 1 on")
        return []
    total = min(int(text), MOST_BUILDS + 1)
    return [
        BatchBuild(
            identifier=f"build{number}", ignore_failure=ignored, shard=(number, total)
        )
        for number in range(total)
    ]
