"""source/git on repositories whose owners wish us ill.

Rows 6 and 14 to 18 of the catalogue of attacks: names that a shell would execute, and
repositories that try to execute something or to leave their folder.
"""

from pathlib import Path

import pytest
from git_http import GitServer
from git_work import Developer, files_of

from prefect_delivery.errors import ActionFailed, ArtifactError
from prefect_delivery.tasks.source.git import checkout, resolve

TEXTS = [
    "$(touch run)",
    "`touch run`",
    ";touch run;",
    "|touch run",
    "&&touch run",
    "||touch run",
    "\ntouch run\n",
    "\r\ntouch run",
    "${IFS}touch${IFS}run",
    "$HOME",
    "%0atouch%20run",
    "--output=run",
    "-rf",
    "-rf *",
    "--upload-pack=touch run",
    "-oProxyCommand=touch run",
    "'; touch run; '",
    '"; touch run; "',
    "'\"'\"'",
    "\\",
    "\\n",
    "\\$(touch run)",
    "<script>alert(1)</script>",
    "<!channel> <@everyone>",
    "[link](javascript:alert(1))",
    "{{ 7 * 7 }}",
    "{% include 'x' %}",
    "${{ secrets.TOKEN }}",
    "#{variables.greeting}",
    "#{app.commit}",
    "::set-output name=commit::0000",
    "##vso[task.setvariable]x",
    "commit=0000\nbranch=evil",
    "\x1b]52;c;dG91Y2ggcnVu\x07",
    "\x1b[2J\x1b[1;31mred",
    "\x07\x08\x0b\x0c",
    "\u202etxt.exe",
    "\u200b\ufeffinvisible",
    "é ü ß",
    "日本語",
    "🚀" * 10,
    "e\u0301 combining",
    "null",
    "true",
    "0",
    "~",
    "!!python/object:os.system",
    "*alias",
    "&anchor",
    "'",
    '"',
    "a\tb",
    "x" * 5000,
    "../../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows",
    "%s%s%s%n",
    "{0.__class__}",
    "'; DROP TABLE executions; --",
    "\x7f",
]
# What git itself forbids in the name of a branch cannot arrive as one.
BRANCHES = [
    "$(touch${IFS}run)",
    "`touch${IFS}run`",
    ";touch${IFS}run",
    "|touch${IFS}run",
    "&&touch${IFS}run",
    "x'y",
    'x"y',
    "{{7+7}}",
    "${{secrets.TOKEN}}",
    "#{app.commit}",
    "<script>alert(1)</script>",
    "%0atouch%20run",
    "x--output=run",
    "a/-rf",
    "a/--upload-pack=touch",
    "\u202etxt.exe",
    "日本語",
    "🚀",
    "é",
    "a=b",
    "a;b",
    "a,b",
    "a!b",
    "a}",
    "HEAD",
    "refs/heads/main",
    "a" * 200,
]


# A checkout takes half a second, so that most texts share one.
@pytest.mark.parametrize("text", ["\n".join(TEXTS), *TEXTS[:8]])
def test_what_a_commit_and_its_author_say_is_only_data(
    text: str, developer: Developer, tmp_path: Path
) -> None:
    author = f"--author=A{text.replace('<', '(').replace('>', ')')} <a@b>"
    commit = ["commit", "--quiet", "--allow-empty", "--file=-", author]
    developer.git(*commit, text=f"subject {text}")
    written = developer.git("log", "-1", "--format=%an <%ae>")
    message = developer.git("log", "-1", "--format=%B")

    variables = checkout.fn(str(developer.folder)).variables

    assert variables["message"] == message
    assert variables["author"] == written[:1000]
    assert variables["commit"] == developer.git("rev-parse", "HEAD")
    assert not list(tmp_path.rglob("run"))


def test_the_names_of_branches_are_only_data(
    developer: Developer, tmp_path: Path
) -> None:
    commits = {}
    for name in BRANCHES:
        commits[name] = developer.commit(f"on {name}")
        developer.git("update-ref", f"refs/heads/{name}", "HEAD")
    url = str(developer.folder)

    found = {name: resolve(url, branch=name) for name in BRANCHES}
    variables = [checkout.fn(url, branch=name).variables for name in BRANCHES[:5]]

    assert found == commits
    assert [each["branch"] for each in variables] == BRANCHES[:5]
    assert not list(tmp_path.rglob("run"))


def test_the_names_of_files_are_only_data(developer: Developer, tmp_path: Path) -> None:
    names = {f"x{text}" for text in TEXTS if len(text) < 100 and "/" not in text}
    developer.commit("first", dict.fromkeys(names, "1"))

    outputs = checkout.fn(str(developer.folder))

    changed = outputs.variables["changed"].split("\n")
    assert set(changed) == {name.replace("\n", r"\n") for name in names}
    assert set(files_of(outputs, tmp_path / "out")) == names
    assert not list(tmp_path.rglob("run"))


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch run",
        "-oProxyCommand=touch run",
        "ext::sh -c touch% run",
        "ssh://-oProxyCommand=touch run/x",
        "git@-oProxyCommand=touch run:x",
        "$(touch run)",
        "`touch run`",
        "; touch run",
        "https://127.0.0.1:1/$(touch run)",
        "ssh://127.0.0.1:1/`touch run`",
        "x@127.0.0.1:$(touch run)",
        "--config=core.sshCommand=touch run",
    ],
)
def test_an_address_executes_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ActionFailed):
        checkout.fn(url)

    assert not list(tmp_path.rglob("run"))


def test_a_commit_message_without_end_is_cut(developer: Developer) -> None:
    developer.commit("m" * 1_000_000)

    variables = checkout.fn(str(developer.folder)).variables

    assert len(variables["message"]) == 10_000


def test_a_list_of_changes_without_end_is_cut_at_a_name(developer: Developer) -> None:
    names = [f"{number:05}-{'é' * 60}" for number in range(2000)]
    developer.commit("many", dict.fromkeys(names, ""))

    changed = checkout.fn(str(developer.folder)).variables["changed"]

    assert 90_000 < len(changed.encode()) <= 100_000
    assert set(changed.split("\n")) <= set(names)


def test_hooks_of_a_repository_do_not_run(developer: Developer, tmp_path: Path) -> None:
    developer.commit("first", {".githooks/post-checkout": "#!/bin/sh\ntouch run\n"})
    hooks = developer.folder / ".git/hooks"
    for name in ("post-checkout", "pre-commit", "post-merge", "reference-transaction"):
        hook = hooks / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/run\n")
        hook.chmod(0o755)
    developer.git("config", "core.hooksPath", ".githooks")

    checkout.fn(str(developer.folder))

    assert not list(tmp_path.rglob("run"))


def test_the_configuration_of_a_repository_is_not_executed(
    developer: Developer, tmp_path: Path
) -> None:
    developer.commit("first", {"a": "1", ".gitattributes": "* filter=evil diff=evil\n"})
    touch = f"touch {tmp_path}/run; cat"
    for key in (
        *("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv"),
        *("diff.external", "core.fsmonitor", "core.sshCommand", "core.pager"),
        *("core.alternateRefsCommand", "uploadpack.packObjectsHook"),
    ):
        developer.git("config", key, touch)
    (developer.folder / "a").write_text("2")
    (tmp_path / "run").unlink(missing_ok=True)

    outputs = checkout.fn(str(developer.folder))

    assert files_of(outputs, tmp_path / "out")["a"] == "1"
    assert not list(tmp_path.rglob("run"))


def test_attributes_that_ask_for_a_filter_change_nothing(
    published: str, developer: Developer, git_server: GitServer, tmp_path: Path
) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 1\n"
    attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\na ident\n"
    developer.commit("x", {"a": "1", "b.bin": pointer, ".gitattributes": attributes})
    developer.push()

    outputs = checkout.fn(git_server.url(published))

    assert files_of(outputs, tmp_path / "out")["b.bin"] == pointer


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "a/../../../x"])
def test_a_link_that_leaves_the_tree_is_refused(
    target: str, developer: Developer
) -> None:
    (developer.folder / "link").symlink_to(target)
    developer.commit("link")

    with pytest.raises((ActionFailed, ArtifactError)):
        checkout.fn(str(developer.folder))


def test_a_link_within_the_tree_arrives(developer: Developer, tmp_path: Path) -> None:
    (developer.folder / "link").symlink_to("a")
    developer.commit("link", {"a": "1"})

    outputs = checkout.fn(str(developer.folder))

    assert files_of(outputs, tmp_path / "out") == {"a": "1", "link": "1"}


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("lib", "ext::sh -c touch% run"),
        ("lib", "--upload-pack=touch run"),
        ("lib", "-oProxyCommand=touch run"),
        ("lib", "ssh://-oProxyCommand=touch run/x"),
        ("lib", "file:///etc"),
        ("lib", "/etc"),
        ("lib\r", "./lib"),
        ("../lib", "./lib"),
        (".git/modules/x", "./lib"),
    ],
)
def test_a_submodule_executes_nothing_and_stays_in_the_tree(
    path: str,
    url: str,
    published: str,
    developer: Developer,
    git_server: GitServer,
    tmp_path: Path,
) -> None:
    modules = f'[submodule "lib"]\n  path = "{path}"\n  url = "{url}"\n'
    commit_submodule(developer, modules)
    developer.push()

    without = checkout.fn(git_server.url(published))
    with pytest.raises(ActionFailed):
        checkout.fn(git_server.url(published), submodules=True)

    assert without.variables["message"] == "submodule"
    assert not list(tmp_path.rglob("run"))


def test_a_submodule_cannot_name_a_command_for_its_update(
    developer: Developer, tmp_path: Path
) -> None:
    update = f"update = !touch {tmp_path}/run"
    modules = f'[submodule "lib"]\n  path = lib\n  url = ./lib\n  {update}\n'
    commit_submodule(developer, modules)

    with pytest.raises(
        ActionFailed, match=r"invalid value for 'submodule\.lib\.update'"
    ):
        checkout.fn(str(developer.folder), submodules=True)

    assert not list(tmp_path.rglob("run"))


def commit_submodule(developer: Developer, modules: str) -> None:
    commit = developer.commit("modules", {".gitmodules": modules})
    entry = f"160000 {commit} 0\tlib\n"
    developer.git("update-index", "--index-info", text=entry)
    developer.git("commit", "--quiet", "-m", "submodule")
