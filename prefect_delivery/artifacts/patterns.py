"""Which files of a folder an artifact takes.

Patterns are globs relative to the folder: `*`, `?` and `[...]` within a name, `**` for
any folders, `{a,b}` for alternatives; a leading `!` leaves out what it matches. Names
that start with a dot match like others, case matters, links are not followed. A pattern
that matches a folder stands for all that is in it. Files keep their path relative to
the folder: `dist/**` gives `dist/index.html`, not `index.html`.
"""

import difflib
from collections.abc import Sequence

from wcmatch import glob

from prefect_delivery.artifacts.manifest import Entry, Folder, shown
from prefect_delivery.errors import ArtifactError

_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB | glob.FORCEUNIX | glob.CASE


def select(tree: Sequence[Entry], patterns: Sequence[str]) -> list[Entry]:
    """The entries that match any pattern, with the folders they are in.

    An empty folder is taken when it matches; other folders come with their content.

    Raises:
        ArtifactError: A pattern matches nothing, leaves the folder, or stands for more
            than a thousand others; or every file was left out again.
    """
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")] or ["**"]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    if not unwanted and wanted == ["**"]:
        return list(tree)
    leaves = _leaves(tree)
    taken = {path for pattern in wanted for path in _found(pattern, leaves)}
    taken -= {path for pattern in unwanted for path in _matches(pattern, leaves)}
    if not taken:
        raise ArtifactError(f"the patterns {', '.join(patterns)} leave nothing")
    return _with_parents(tree, taken)


def _leaves(tree: Sequence[Entry]) -> list[str]:
    parents = {entry.path.rpartition("/")[0] for entry in tree}
    return [
        entry.path
        for entry in tree
        if not (isinstance(entry, Folder) and entry.path in parents)
    ]


def _with_parents(tree: Sequence[Entry], taken: set[str]) -> list[Entry]:
    needed = set(taken)
    for path in taken:
        while (path := path.rpartition("/")[0]) not in needed and path:
            needed.add(path)
    return [entry for entry in tree if entry.path in needed]


def _found(pattern: str, leaves: list[str]) -> list[str]:
    if found := _matches(pattern, leaves):
        return found
    raise ArtifactError(
        f"the pattern '{pattern}' matches nothing; {_near(pattern, leaves)}"
    )


def _matches(pattern: str, leaves: list[str]) -> list[str]:
    plain = pattern.removeprefix("./").rstrip("/")
    if not plain or plain.startswith("/") or ".." in plain.split("/"):
        raise ArtifactError(
            f"the pattern '{pattern}' must be relative and stay inside its folder"
        )
    try:
        found = glob.globfilter(leaves, [plain, f"{plain}/**"], flags=_FLAGS)
    except Exception as error:  # wcmatch does not export what it raises
        raise ArtifactError(
            f"the pattern '{pattern}' cannot be used: {error}"
        ) from error
    return list(map(str, found))


def _near(pattern: str, leaves: list[str]) -> str:
    """What there is where the pattern first misses."""
    where: list[str] = []
    for name in pattern.removeprefix("./").split("/"):
        there = _names(where, leaves)
        if name not in there:
            break
        where.append(name)
    close = difflib.get_close_matches(name, there, n=1)
    if close:
        return f"did you mean {shown('/'.join([*where, *close]))}?"
    shown_names = ", ".join(map(shown, there[:10])) + (", ..." if there[10:] else "")
    place = shown("/".join(where)) if where else "the folder"
    return f"{place} holds {shown_names or 'nothing'}"


def _names(where: list[str], leaves: list[str]) -> list[str]:
    prefix = "".join(f"{name}/" for name in where)
    below = (leaf[len(prefix) :] for leaf in leaves if leaf.startswith(prefix))
    return sorted({path.partition("/")[0] for path in below})
