"""What comes from outside and may start pipelines."""

from dataclasses import dataclass
from typing import Literal

from prefect_delivery.repositories import identity_of

Kind = Literal["push", "pull_request", "pipeline"]
PullRequestEvent = Literal["opened", "updated", "closed"]
BRANCH, TAG = "refs/heads/", "refs/tags/"
OBJECT = "object"
"""In the place of a ref, where a source is one thing, such as an object of S3."""
UNPINNED = "etag:"
"""Begins a revision that tells one content from another, and cannot be asked for."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of a source, whoever tells of it: a webhook, a poll, another pipeline.

    Attributes:
        repository: Any address of it; for `pipeline`, the other pipeline's name.
        ref: `refs/heads/main`, `refs/tags/v1`; of a pull request what its head is kept
            under, such as `refs/pull/7/head`.
        revision: The commit; of a tag, the one that it points to. For `pipeline`, the
            number of the execution that succeeded.
        before: The commit that the ref had before; None for a new ref, or when unknown.
        files: What differs, where whoever tells knows all of it.
        deleted: The ref is gone.
        event: What happened to a pull request.
        into: The branch that a pull request goes into.
        fork: Whether a pull request comes from another repository.
        by: Who did it, as far as whoever tells knows.
    """

    kind: Kind
    repository: str
    ref: str
    revision: str
    before: str | None = None
    files: tuple[str, ...] | None = None
    deleted: bool = False
    event: PullRequestEvent | None = None
    into: str = ""
    fork: bool = False
    by: str = ""

    @property
    def source(self) -> str:
        """The repository, by whatever address it was named."""
        known = self.kind == "pipeline" or self.ref == OBJECT
        return self.repository if known else identity_of(self.repository)

    @property
    def line(self) -> str:
        """What this is a change of; of two, the newer one wins."""
        return f"{self.kind} {self.source} {self.ref}"

    @property
    def key(self) -> str:
        """The same for the same change, however often and by whomever it is told."""
        end = "deleted" if self.deleted else "closed" if self.event == "closed" else ""
        return f"{self.line} {self.revision} {end}".rstrip()

    @property
    def branch(self) -> str | None:
        """The branch that was pushed, or that a pull request goes into."""
        if self.kind == "pull_request":
            return self.into.removeprefix(BRANCH)
        return self.ref.removeprefix(BRANCH) if self.ref.startswith(BRANCH) else None

    @property
    def tag(self) -> str | None:
        """The tag that was pushed."""
        pushed = self.kind == "push" and self.ref.startswith(TAG)
        return self.ref.removeprefix(TAG) if pushed else None

    @property
    def title(self) -> str:
        """What happened, in words: what an execution shows as its trigger."""
        match self.kind:
            case "push":
                if self.ref == OBJECT:
                    return f"change of {self.repository}"
                return f"tag {self.tag}" if self.tag else f"push to {self.branch}"
            case "pull_request":
                return f"pull request {self.ref} {self.event or 'updated'}"
            case "pipeline":
                return f"success of {self.repository} #{self.revision}"


@dataclass(frozen=True, kw_only=True)
class Started:
    """A change started an execution.

    Attributes:
        again: The change had come before; nothing new was started.
        handed_over: Prefect has a run for it. If not, `watch` sees to that.
    """

    pipeline: str
    execution_id: str
    title: str
    again: bool = False
    handed_over: bool = False


@dataclass(frozen=True, kw_only=True)
class Ignored:
    """A change started nothing in a pipeline, and why."""

    pipeline: str
    reason: str
    again: bool = False


Outcome = Started | Ignored
