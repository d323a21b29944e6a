"""source/git on repositories of this machine."""

import shutil
from pathlib import Path

import pytest
from git_work import Developer, files_of

from prefect_delivery.actions import Job
from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.source.git import checkout, resolve


def test_the_files_of_the_default_branch_arrive_without_git(
    developer: Developer, tmp_path: Path
) -> None:
    developer.commit("first", {"README": "shop", "src/app.py": "print()"})
    developer.git("checkout", "--quiet", "-b", "other")

    outputs = checkout.fn(str(developer.folder))

    assert files_of(outputs, tmp_path / "out") == {
        "README": "shop",
        "src/app.py": "print()",
    }
    assert outputs.variables["branch"] == "other"


def test_the_same_commit_is_the_same_artifact(developer: Developer) -> None:
    developer.commit("first", {"README": "shop"})

    first = checkout.fn(str(developer.folder))
    second = checkout.fn(str(developer.folder))

    assert first.artifacts == second.artifacts


def test_variables_tell_what_was_found(developer: Developer) -> None:
    developer.commit("first", {"README": "shop", "old": "x"})
    developer.git("rm", "--quiet", "old")
    commit = developer.commit("Add a cart\n\nIt holds goods.", {"cart/a b.py": "1"})

    variables = checkout.fn(str(developer.folder)).variables

    assert variables["commit"] == commit
    assert variables["short"] == commit[:7]
    assert variables["message"] == "Add a cart\n\nIt holds goods."
    assert variables["author"] == "Ada <ada@example.org>"
    assert variables["committer"] == "Ada <ada@example.org>"
    assert variables["author_date"] == developer.git("log", "-1", "--format=%aI")
    assert variables["changed"].split("\n") == ["cart/a b.py", "old"]
    assert variables["tag"] == ""


def test_of_the_first_commit_every_file_has_changed(developer: Developer) -> None:
    developer.commit("first", {"a": "1", "b": "2"})

    variables = checkout.fn(str(developer.folder)).variables

    assert variables["changed"] == "a\nb"


def test_of_a_merge_what_it_brought_to_its_branch_has_changed(
    developer: Developer,
) -> None:
    developer.commit("first", {"a": "1"})
    developer.git("checkout", "--quiet", "-b", "topic")
    developer.commit("topic", {"b": "1"})
    developer.git("checkout", "--quiet", "main")
    developer.commit("meanwhile", {"c": "1"})
    developer.git("merge", "--quiet", "--no-edit", "topic")

    variables = checkout.fn(str(developer.folder)).variables

    assert variables["changed"] == "b"


def test_a_branch_and_both_kinds_of_tag_are_found(developer: Developer) -> None:
    tagged = developer.commit("first", {"a": "1"})
    developer.git("tag", "light")
    developer.git("tag", "--annotate", "heavy", "--message=release")
    developer.commit("second", {"a": "2"})
    developer.git("branch", "topic/new")
    newest = developer.commit("third", {"a": "3"})

    commits = {
        "light": checkout.fn(str(developer.folder), tag="light").variables["commit"],
        "heavy": checkout.fn(str(developer.folder), tag="heavy").variables["commit"],
        "main": checkout.fn(str(developer.folder), branch="main").variables["commit"],
    }
    topic = checkout.fn(str(developer.folder), branch="topic/new").variables

    assert commits == {"light": tagged, "heavy": tagged, "main": newest}
    assert topic["message"] == "second"
    assert topic["branch"] == "topic/new"


def test_a_pinned_revision_counts_more_than_what_the_branch_has_now(
    developer: Developer, tmp_path: Path
) -> None:
    pinned = developer.commit("first", {"a": "1"})
    developer.commit("second", {"a": "2"})
    url = str(developer.folder)

    by_run = checkout.fn(url, branch="main", job=Job(revision=pinned))
    by_configuration = checkout.fn(url, commit=pinned)

    assert files_of(by_run, tmp_path / "out") == {"a": "1"}
    assert by_run.variables["commit"] == pinned
    assert by_configuration.artifacts == by_run.artifacts
    assert by_configuration.variables["branch"] == "main"


def test_a_commit_may_be_named_by_its_first_digits(developer: Developer) -> None:
    older = developer.commit("first", {"a": "1"})
    newest = developer.commit("second", {"a": "2"})
    url = str(developer.folder)

    found = [checkout.fn(url, commit=each[:7]).variables for each in (older, newest)]

    assert [each["commit"] for each in found] == [older, newest]


def test_history_is_kept_when_asked_for(developer: Developer, tmp_path: Path) -> None:
    for number in range(4):
        developer.commit(f"number {number}", {"a": str(number)})
    developer.git("tag", "v1", "HEAD~1")
    url = str(developer.folder)

    some, every = tmp_path / "some", tmp_path / "every"
    for folder, depth in ((some, 3), (every, 0)):
        (artifact,) = checkout.fn(url, history=True, depth=depth).artifacts.values()
        artifact.unpack(folder)
    clones = {folder.name: Clone(folder) for folder in (some, every)}

    assert clones["some"].git("rev-list", "--count", "HEAD") == "3"
    assert clones["every"].git("rev-list", "--count", "HEAD") == "4"
    assert clones["every"].git("describe", "--tags", "HEAD~1") == "v1"
    assert clones["every"].git("status", "--porcelain") == ""


class Clone(Developer):
    """A work tree that is there already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


def test_what_is_not_committed_is_left_out_and_named(
    developer: Developer, tmp_path: Path
) -> None:
    developer.commit("first", {"a": "1", ".gitignore": "ignored"})
    (developer.folder / "a").write_text("2")
    (developer.folder / "forgotten").write_text("3")
    (developer.folder / "ignored").write_text("4")
    log: list[str] = []

    outputs = checkout.fn(str(developer.folder), job=Job(log=log.append))

    assert files_of(outputs, tmp_path / "out") == {"a": "1", ".gitignore": "ignored"}
    assert log[-1] == "what is not committed is left out: a, forgotten"


def test_bare_and_shallow_repositories_are_read(
    developer: Developer, tmp_path: Path
) -> None:
    developer.commit("first", {"a": "1"})
    newest = developer.commit("second", {"a": "2"})
    bare, shallow = tmp_path / "bare.git", tmp_path / "shallow"
    developer.git("clone", "--quiet", "--bare", ".", str(bare))
    developer.git("clone", "--quiet", "--depth=1", f"file://{bare}", str(shallow))

    commits = {
        checkout.fn(str(folder), history=history, depth=0).variables["commit"]
        for folder in (bare, shallow)
        for history in (False, True)
    }

    assert commits == {newest}


def test_a_repository_with_sha256_is_read(tmp_path: Path) -> None:
    developer = Developer(tmp_path / "work", "--object-format=sha256")
    commit = developer.commit("first", {"a": "1"})

    outputs = checkout.fn(str(developer.folder))

    assert len(commit) == 64
    assert outputs.variables["commit"] == commit


def test_a_branch_that_does_not_exist_is_named_with_its_like(
    developer: Developer,
) -> None:
    developer.commit()
    developer.git("branch", "release-2")
    url = str(developer.folder)

    with pytest.raises(ActionFailed, match=r"has no branch 'relase-2'\nthere is rel"):
        checkout.fn(url, branch="relase-2")
    with pytest.raises(ActionFailed, match=r"has no tag 'v1'\nit has no tag at all"):
        checkout.fn(url, tag="v1")


def test_a_commit_that_does_not_exist_is_gone(developer: Developer) -> None:
    developer.commit()

    with pytest.raises(ActionFailed, match=f"commit {'1' * 40} is gone from"):
        checkout.fn(str(developer.folder), commit="1" * 40)


def test_a_repository_without_commits_has_nothing_to_bring(
    developer: Developer,
) -> None:
    with pytest.raises(ActionFailed, match="has no default branch"):
        checkout.fn(str(developer.folder))


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"branch": "main", "tag": "v1"}, "name one of them"),
        ({"commit": "1234567"}, "not one commit of .* begins with 1234567"),
        ({"commit": "123456"}, "'123456' is not a commit"),
        ({"commit": "--upload-pack=touch x"}, "is not a commit"),
        ({"commit": "HEAD"}, "'HEAD' is not a commit"),
        ({"branch": "-rf"}, "'-rf' cannot be the name of a branch"),
        ({"branch": "--output=x"}, "cannot be the name of a branch"),
        ({"branch": "a..b"}, "cannot be the name of a branch"),
        ({"branch": "a b"}, "cannot be the name of a branch"),
        ({"branch": "ma?n"}, "cannot be the name of a branch"),
        ({"branch": "*"}, "cannot be the name of a branch"),
        ({"branch": ""}, "cannot be the name of a branch"),
        ({"tag": "v1^{}"}, "cannot be the name of a tag"),
        ({"tag": "a\nb"}, "cannot be the name of a tag"),
        ({"tag": "a\0b"}, "cannot be the name of a tag"),
    ],
)
def test_what_cannot_name_a_revision_is_refused(
    configuration: dict[str, str], message: str, developer: Developer
) -> None:
    developer.commit()
    url = str(developer.folder)

    with pytest.raises(ActionFailed, match=message):
        checkout.fn(url, **configuration)  # type: ignore[arg-type]  # names and texts


def test_resolve_fetches_nothing_and_agrees_with_checkout(
    developer: Developer, home: Path
) -> None:
    newest = developer.commit()
    developer.git("tag", "v1")
    url = str(developer.folder)

    answers = {resolve(url), resolve(url, branch="main"), resolve(url, tag="v1")}

    assert answers == {newest}
    assert not (home / "artifacts").exists()


def test_nothing_is_left_in_the_workspaces(
    developer: Developer, tmp_path: Path
) -> None:
    developer.commit()
    workspaces = tmp_path / "workspaces"
    url = str(developer.folder)

    checkout.fn(url, job=Job(workspaces=workspaces))
    with pytest.raises(ActionFailed):
        checkout.fn(url, branch="none", job=Job(workspaces=workspaces))

    assert list(workspaces.iterdir()) == []


def test_a_worker_without_git_says_so(
    developer: Developer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    developer.commit()
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ActionFailed, match="git"):
        checkout.fn(str(developer.folder))


def test_a_submodule_by_local_path_is_refused(
    developer: Developer, tmp_path: Path
) -> None:
    library = Developer(tmp_path / "library")
    library.commit("first", {"lib.py": "1"})
    allowed = ["-c", "protocol.file.allow=always"]
    developer.git(*allowed, "submodule", "--quiet", "add", str(library.folder), "lib")
    developer.commit("add a submodule")

    with pytest.raises(ActionFailed, match="submodule that is not on a server"):
        checkout.fn(str(developer.folder), submodules=True)


def test_a_cancelled_run_ends_with_its_reason(developer: Developer) -> None:
    developer.commit()
    job = Job()
    job.cancel("stopped by Ada")

    with pytest.raises(ActionFailed, match="stopped by Ada"):
        checkout.fn(str(developer.folder), job=job)


def test_large_files_stay_pointers_unless_they_are_asked_for(
    developer: Developer, tmp_path: Path
) -> None:
    if not shutil.which("git-lfs"):
        pytest.skip("not installed: git-lfs")
    developer.git("lfs", "install", "--local")
    developer.git("lfs", "track", "*.bin")
    developer.commit("first", {"large.bin": "many bytes"})
    url = str(developer.folder)

    pointer = files_of(checkout.fn(url), tmp_path / "without")
    file = files_of(checkout.fn(url, lfs=True), tmp_path / "with")

    assert pointer["large.bin"].startswith("version https://git-lfs")
    assert file["large.bin"] == "many bytes"


def test_large_files_without_git_lfs_are_an_error(
    developer: Developer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    developer.commit()
    programs = tmp_path / "programs"
    programs.mkdir()
    git = shutil.which("git")
    assert git is not None
    (programs / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(programs))

    with pytest.raises(ActionFailed, match="git-lfs is not installed"):
        checkout.fn(str(developer.folder), lfs=True)
