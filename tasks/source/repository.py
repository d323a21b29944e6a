"""A private git repository that brings one commit of a remote one onto this machine.

git reads its configuration from many places, and some settings are commands. Here it
sees none of the machine's and none of the fetched repository's (CVE-2022-24765,
CVE-2022-39253, CVE-2024-32002, CVE-2025-48384).
"""

import difflib
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prefect_delivery.actions import Job
from prefect_delivery.errors import ActionFailed
from prefect_delivery.lines import visible
from prefect_delivery.masking import Masker
from prefect_delivery.process import clean_environment, run_process
from prefect_delivery.tasks.source.access import Access
from prefect_delivery.tasks.source.explain import Unadvertised, explain
from prefect_delivery.tasks.source.remote import Remote

__all__ = ["Repository", "Tip"]

_ADVERTISED = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\t(\S+)")
_SYMREF = re.compile(r"ref: refs/heads/(\S+)\tHEAD")
# git takes a web page for the list of an empty repository.
_EMPTY = "it shows none at all; is it empty, or a web page and no repository?"
_TAGS = "refs/tags/*:refs/tags/*"
_ALL = ["+refs/heads/*:refs/remotes/origin/*", _TAGS]
_SETTINGS = {
    "advice.detachedHead": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "credential.helper": "",
    "gc.auto": "0",
    # A redirect could take the token to another server (CVE-2020-5260's lesson).
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "init.defaultBranch": "main",
    "protocol.allow": "never",
}
_LFS = {
    "filter.lfs.process": "git-lfs filter-process",
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.required": "true",
}


@dataclass(frozen=True, kw_only=True)
class Tip:
    """A commit, and the branch it was found by; empty where none is known."""

    commit: str
    branch: str = ""


class Repository:
    """One fetch of one remote repository.

    Attributes:
        tree: Folder of the files; the caller's to keep.
    """

    def __init__(
        self, remote: Remote, access: Access, folder: Path, job: Job, *, timeout: float
    ) -> None:
        """Prepare to work in `folder`, for at most `timeout` minutes in all."""
        private = folder / "private"
        private.mkdir(mode=0o700)
        self.tree = folder / "tree"
        self.tree.mkdir()
        self._remote = remote
        self._job = job
        self._mask = Masker([access.secret] if access.secret else [])
        self._minutes = timeout
        self._deadline = time.monotonic() + timeout * 60
        self._env = clean_environment(
            access.environment(remote, private)
            | _isolation(_SETTINGS, protocols=remote.transport)
            | {"GIT_CEILING_DIRECTORIES": str(folder)}
        )

    def tip(self, *, branch: str | None = None, tag: str | None = None) -> Tip:
        """The commit that a branch, a tag or, without both, the default branch has.

        Raises:
            ActionFailed: There is none, or the repository cannot be read.
        """
        if tag is not None:
            return Tip(commit=self._advertised("tag", f"refs/tags/{tag}", tag))
        if branch is not None:
            commit = self._advertised("branch", f"refs/heads/{branch}", branch)
            return Tip(commit=commit, branch=branch)
        found, default = self._ask("--symref", "HEAD")
        if "HEAD" not in found:
            raise ActionFailed(f"{self._remote.url} has no default branch", hint=_EMPTY)
        return Tip(commit=found["HEAD"], branch=default)

    def expand(self, digits: str) -> str:
        """The commit that begins with `digits`.

        Raises:
            ActionFailed: There is none or more than one.
        """
        advertised, _ = self._ask()
        tips = {tip for tip in advertised.values() if tip.startswith(digits)}
        if len(tips) == 1:
            return tips.pop()
        self._init(like=next(iter(advertised.values()), ""))
        self._fetch(refs=_ALL)
        try:
            return self.run("rev-parse", "--verify", f"{digits}^{{commit}}")[-1]
        except ActionFailed as error:
            place = self._remote.url
            raise ActionFailed(
                f"not one commit of {place} begins with {digits}"
            ) from error

    def default_branch(self) -> str:
        """Name of the default branch; empty where the remote has none."""
        return self._ask("--symref", "HEAD")[1]

    def fetch(self, commit: str, *, depth: int, tags: bool = False) -> None:
        """Bring `commit` with `depth` commits of its history; 0 brings all of it.

        Raises:
            ActionFailed: The commit is gone, or the repository cannot be read.
        """
        self._init(like=commit)
        limit = [f"--depth={depth}"] if depth else []
        try:
            self._fetch(*limit, refs=[commit, *[_TAGS] * tags])
        except Unadvertised as refusal:
            self._fetch_everything(commit, refusal)

    def fetch_history(self, *commits: str) -> None:
        """Bring all of the history of `commits`, without files where that is possible.

        Raises:
            ActionFailed: A commit is gone, or the repository cannot be read.
        """
        self._init(like=next(iter(commits), ""))
        # A folder's git would only warn that it sends everything.
        lean = ["--filter=tree:0"] if self._remote.transport != "file" else []
        try:
            self._fetch(*lean, refs=commits)
        except Unadvertised as refusal:
            self._fetch(*lean, refs=_ALL)
            for commit in commits:
                if not self.has(commit):
                    raise self._gone(commit) from refusal

    def has(self, commit: str) -> bool:
        """Whether a commit was fetched."""
        try:
            self.run("cat-file", "-e", f"{commit}^{{commit}}")
        except ActionFailed:
            return False
        return True

    def branches(self) -> dict[str, str]:
        """The commit of each branch that the remote has, by name."""
        heads, start = self._ask("refs/heads/*")[0], "refs/heads/"
        return {name.removeprefix(start): commit for name, commit in heads.items()}

    def refs(self) -> dict[str, str]:
        """The commit of each branch and tag that the remote has, by its full name."""
        found = self._ask("refs/heads/*", "refs/tags/*")[0]
        # `^{}` is the commit that an annotated tag points to.
        return {
            name: found.get(name + "^{}", commit)
            for name, commit in found.items()
            if not name.endswith("^{}")
        }

    def commit_of(self, ref: str) -> str | None:
        """The commit that a full ref has, whatever its kind; None when there is none.

        Raises:
            ActionFailed: The repository cannot be read.
        """
        found, _ = self._ask(ref, ref + "^{}")
        shown = visible(ref)  # as the lines that `run` returns show it
        return found.get(shown + "^{}") or found.get(shown)

    def checkout(self, commit: str, *, lfs: bool = False) -> None:
        """Write the files of `commit` into `tree`.

        Raises:
            ActionFailed: git-lfs is not installed, or a file of it cannot be had.
        """
        if lfs and not shutil.which("git-lfs", path=self._env.get("PATH")):
            raise ActionFailed(
                "git-lfs is not installed", hint="install it, or lfs: no"
            )
        settings = _SETTINGS | (_LFS | self._lfs_places() if lfs else {})
        self.run(
            *("checkout", "--quiet", "--force", "--detach", commit),
            extra=_isolation(settings, protocols=self._remote.transport),
        )

    def update_submodules(self) -> None:
        """Bring the submodules, over the network only.

        Raises:
            ActionFailed: One cannot be read, or lives elsewhere than on a server.
        """
        protocols = {"https", "ssh", self._remote.transport} - {"file"}
        settings = _SETTINGS | {"remote.origin.url": self._remote.url}
        self.run(
            *("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"),
            extra=_isolation(settings, protocols=":".join(protocols)),
        )

    def run(self, *arguments: str, extra: Mapping[str, str] = {}) -> list[str]:
        """Run git in `tree` and return the lines it wrote.

        Raises:
            ActionFailed: It failed, was cancelled, or time is over.
        """
        lines: list[str] = []
        try:
            run_process(
                ["git", *arguments],
                cwd=self.tree,
                env={**self._env, **extra},
                on_line=lines.append,
                mask=self._mask.line,
                timeout=max(0.1, self._deadline - time.monotonic()),
                cancelled=self._job.cancelled,
            )
        except ActionFailed as error:
            raise self._failure(error, lines) from error
        return lines

    def _failure(self, error: ActionFailed, lines: Sequence[str]) -> ActionFailed:
        if self._job.cancelled.is_set():
            return ActionFailed(self._job.reason)
        if time.monotonic() >= self._deadline:
            minutes = f"{self._minutes:g} min"
            return ActionFailed(f"{self._remote.url} did not answer within {minutes}")
        return explain(lines, self._remote) if lines else error

    def _advertised(self, kind: str, ref: str, name: str) -> str:
        self._check_name(kind, ref, name)
        # `^{}` is the commit that an annotated tag points to.
        found, _ = self._ask(ref, ref + "^{}")
        shown = visible(ref)  # as the lines that `run` returns show it
        commit = found.get(shown + "^{}") or found.get(shown)
        if commit is None:
            raise self._unknown(kind, ref, name)
        return commit

    def _check_name(self, kind: str, ref: str, name: str) -> None:
        wrong = ActionFailed(f"{name!r} cannot be the name of a {kind}")
        if name.startswith("-") or "\0" in name:
            raise wrong
        try:
            self.run("check-ref-format", ref)
        except ActionFailed as error:
            raise wrong from error

    def _unknown(self, kind: str, ref: str, name: str) -> ActionFailed:
        space = ref.removesuffix(name)
        found, _ = self._ask(f"{space}*")
        names = [n.removeprefix(space) for n in found if not n.endswith("^{}")]
        close = difflib.get_close_matches(name, names) or sorted(names)[:5]
        none = _EMPTY if kind == "branch" else f"it has no {kind} at all"
        hint = f"there is {', '.join(close)}" if close else none
        return ActionFailed(f"{self._remote.url} has no {kind} {name!r}", hint=hint)

    def _ask(self, *wanted: str) -> tuple[dict[str, str], str]:
        options = [word for word in wanted if word.startswith("--")]
        patterns = [word for word in wanted if not word.startswith("--")]
        url = self._remote.url
        lines = self.run("ls-remote", "--quiet", *options, "--", url, *patterns)
        matches = filter(None, map(_ADVERTISED.fullmatch, lines))
        default = next(filter(None, map(_SYMREF.fullmatch, lines)), None)
        return {match[2]: match[1] for match in matches}, default[1] if default else ""

    def _init(self, *, like: str) -> None:
        kind = "sha256" if len(like) == 64 else "sha1"
        self.run("init", "--quiet", "--template=", f"--object-format={kind}")

    def _fetch(self, *options: str, refs: Sequence[str]) -> None:
        fixed = ("--quiet", "--no-tags", "--no-recurse-submodules", "--update-shallow")
        self.run("fetch", *fixed, *options, "--", self._remote.url, *refs)

    def _fetch_everything(self, commit: str, refusal: Unadvertised) -> None:
        """For servers that only hand out what a branch or tag points to."""
        self._fetch(refs=_ALL)
        if not self.has(commit):
            raise self._gone(commit) from refusal

    def _gone(self, commit: str) -> ActionFailed:
        return ActionFailed(
            f"commit {commit} is gone from {self._remote.url}",
            hint="a branch was overwritten or deleted; start with a newer commit",
        )

    def _lfs_places(self) -> dict[str, str]:
        # Given here, a `.lfsconfig` in the repository cannot point elsewhere.
        url = self._remote.url
        match self._remote.transport:
            case "https" | "http":
                base = url.removesuffix("/").removesuffix(".git")
                return {"lfs.url": f"{base}.git/info/lfs"}
            case "file":
                url = Path(url).as_uri()
                return {"lfs.url": url, "remote.origin.url": url}
            case "ssh":
                return {"lfs.url": url}


def _isolation(settings: Mapping[str, str], *, protocols: str) -> dict[str, str]:
    """Environment in which git has these settings and no others."""
    numbered = enumerate(settings.items())
    pairs = [
        pair
        for n, (key, value) in numbered
        for pair in ((f"GIT_CONFIG_KEY_{n}", key), (f"GIT_CONFIG_VALUE_{n}", value))
    ]
    return {
        **dict(pairs),
        "GIT_CONFIG_COUNT": str(len(settings)),
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LANGUAGE": "",
        "LC_ALL": "C.UTF-8",  # messages in English, names as they are
    }
