"""Which files a pattern takes: a table of examples."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.artifacts.manifest import Entry
from prefect_delivery.artifacts.patterns import select
from prefect_delivery.artifacts.scan import scan
from prefect_delivery.errors import ArtifactError

Tree = Callable[[Mapping[str, str]], Path]

FILES = [
    ".env",
    "README.md",
    "a b/[x].txt",
    "dist/.hidden",
    "dist/app.js",
    "dist/css/site.css",
    "dist/empty/",
    "packages/one/dist/one.whl",
    "packages/two/dist/two.whl",
    "src/app.py",
    "src/app_test.py",
    "src/deep/er/x.py",
    "!odd",
]


@pytest.fixture
def entries(tree: Tree) -> list[Entry]:
    return scan(tree({name: "" for name in FILES}))


def everything_but(*left_out: str) -> set[str]:
    return {name for name in FILES if not name.startswith(left_out)}


@pytest.mark.parametrize(
    ("patterns", "taken"),
    [
        (["**"], set(FILES)),
        (["**/*"], set(FILES)),
        (["*.md"], {"README.md"}),
        (["*.py"], None),
        (["**/*.py"], {"src/app.py", "src/app_test.py", "src/deep/er/x.py"}),
        (["src/*.py"], {"src/app.py", "src/app_test.py"}),
        (["dist/**"], {n for n in FILES if n.startswith("dist/")}),
        (["dist"], {n for n in FILES if n.startswith("dist/")}),
        (["dist/"], {n for n in FILES if n.startswith("dist/")}),
        (["./dist/**"], {n for n in FILES if n.startswith("dist/")}),
        (["dist/*.js"], {"dist/app.js"}),
        (["dist/e*"], {"dist/empty/"}),
        (["packages/*/dist"], {n for n in FILES if n.startswith("packages/")}),
        (["{README.md,src/app.py}"], {"README.md", "src/app.py"}),
        (["src/?pp.py"], {"src/app.py"}),
        (["[r]eadme.md"], None),
        (["a b/\\[x\\].txt"], {"a b/[x].txt"}),
        (["README.md", ".env"], {"README.md", ".env"}),
        (["**", "!src"], everything_but("src/")),
        (["!src", "!dist"], everything_but("src/", "dist/")),
        (["src/**", "!**/*_test.py"], {"src/app.py", "src/deep/er/x.py"}),
        (["**", "!**/deep"], everything_but("src/deep")),
        (["\\!odd"], {"!odd"}),
        (["src", "!src/**"], None),
        (["{1..100000}"], None),
    ],
    # Sets print in another order in each process.
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_patterns_take(
    entries: list[Entry], patterns: list[str], taken: set[str] | None
) -> None:
    if taken is None:
        with pytest.raises(ArtifactError):
            select(entries, patterns)
        return

    paths = {entry.path for entry in select(entries, patterns)}

    wanted = {name.rstrip("/") for name in taken}
    parents = {name[:i] for name in wanted for i, c in enumerate(name) if c == "/"}
    assert paths == wanted | parents


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("dsit/**", "'dsit/**' matches nothing; did you mean 'dist'?"),
        ("dist/app.jss", "did you mean 'dist/app.js'?"),
        ("packages/**/*.zip", "'packages' holds 'one', 'two'"),
        ("nowhere/*", "the folder holds '!odd', '.env', 'README.md'"),
    ],
)
def test_a_pattern_that_matches_nothing_says_what_is_there(
    entries: list[Entry], pattern: str, words: str
) -> None:
    with pytest.raises(ArtifactError) as refusal:
        select(entries, ["**", pattern])

    assert words in str(refusal.value)


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../*", "dist/../../x", "", "!.."])
def test_a_pattern_never_leaves_the_folder(entries: list[Entry], pattern: str) -> None:
    with pytest.raises(ArtifactError, match="must be relative and stay inside"):
        select(entries, [pattern])


def test_files_keep_their_path(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    source = tree({"dist/index.html": "hello", "src/x": ""})

    store.get(store.put(source, ["dist/**"])[0], tmp_path / "target")

    assert (tmp_path / "target/dist/index.html").read_text() == "hello"
    assert not (tmp_path / "target/src").exists()


def test_no_pattern_takes_everything_even_of_an_empty_folder(
    store: ArtifactStore, tree: Tree
) -> None:
    assert store.put(tree({}), [])[1] == 0
