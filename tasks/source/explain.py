"""What git means when it fails, in one sentence for the person who reads it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.source.remote import Remote

__all__ = ["Unadvertised", "explain"]


class Unadvertised(ActionFailed):
    """The server does not hand out this commit when asked for it by its digits."""


@dataclass(frozen=True)
class _Cause:
    pattern: str
    meaning: str
    hint: str | None = None
    kind: type[ActionFailed] = ActionFailed


# The first that matches counts. Messages of git 2.39 to 2.47, OpenSSH 9, curl 8.
_CAUSES = (
    _Cause(
        r"no space left on device|unable to write file|disk quota exceeded",
        "no space left for the files of {url}",
        "make room in the folder of the workspaces: deliver doctor",
    ),
    _Cause(
        r"not our ref|unadvertised object|no such remote ref|remote error: upload-pack:",
        "{url} does not have this commit",
        kind=Unadvertised,
    ),
    _Cause(
        r"host key verification failed|host identification has changed",
        "the host key of {url} is unknown or has changed",
        "compare it with the one its owner publishes, and put it into `known_hosts:`",
    ),
    _Cause(
        r"authentication failed|error: 40[13]|permission denied|invalid credentials"
        r"|access denied",
        "{url} refused the credentials",
        "check the secret that `credentials:` names, and what it may read",
    ),
    _Cause(
        r"could not read (username|password)|terminal prompts disabled",
        "{url} asks for credentials",
        "name a secret in `credentials:`",
    ),
    _Cause(
        r"error: 30\d|redirect",
        "{url} redirects to another address, which is not followed",
        "name the address it redirects to",
    ),
    _Cause(
        r"transport '.*' not allowed",
        "{url} has a submodule that is not on a server like itself",
        "give the submodule an https:// or ssh:// URL, or a relative one",
    ),
    _Cause(
        r"dubious ownership",
        "{url} belongs to another user than the one who runs this",
        "make the worker's user its owner, or name it by an ssh:// or https:// URL",
    ),
    _Cause(
        r"invalid server response|not valid: is this a git repository|protocol error"
        r"|bad line length|unexpected .* response|expected flush",
        "{url} answers, but not as a git server does",
        "check the address; a web page or a log-in form may be behind it",
    ),
    _Cause(
        r"repository .*not found|does(n't| not) (appear to be a git repository|exist)"
        r"|not a git repository|error: 404",
        "no repository at {url}",
        "check the address, and whether `credentials:` is needed to see it",
    ),
    _Cause(
        r"certificate",
        "the TLS certificate of {url} is not trusted",
        "set GIT_SSL_CAINFO on the worker for a certificate authority of your own",
    ),
    _Cause(r"ssl|tls", "{url} does not speak TLS as it should"),
    _Cause(
        r"could not resolve|failed to connect|couldn't connect|connection (refused"
        r"|timed out|reset|closed)|timed out|unreachable|too slow|error: 5\d\d"
        r"|early eof|hung up|empty reply",
        "{url} cannot be reached",
    ),
)


def explain(lines: Sequence[str], remote: Remote) -> ActionFailed:
    """The error that `lines`, all that git wrote, amount to.

    The sentence is ours; the line it was made from follows in brackets.
    """
    for cause in _CAUSES:
        for line in lines:
            if re.search(cause.pattern, line, re.IGNORECASE):
                message = f"{cause.meaning.format(url=remote.url)} ({_cut(line)})"
                return cause.kind(message, hint=cause.hint)
    words = next((line for line in lines if re.match("fatal|error", line)), None)
    spoken = words or "\n".join(lines).strip().rpartition("\n")[2] or "it said nothing"
    return ActionFailed(f"git failed at {remote.url} ({_cut(spoken)})")


def _cut(line: str) -> str:
    return line.strip().removeprefix("fatal: ")[:300]
