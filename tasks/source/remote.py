"""Addresses of git repositories: which are accepted, and what they mean.

An address reaches git as an argument, and git reads some addresses as options or
commands (CVE-2017-1000117, CVE-2018-17456, `ext::`), so it is taken apart here first.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

from prefect_delivery.errors import ActionFailed

__all__ = ["Remote"]

Transport = Literal["https", "http", "ssh", "file"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# As git reads it: a colon before the first slash makes the part before it a host.
_SCP = re.compile(r"(?:([^@/:]+)@)?(\[[0-9A-Fa-f:.]+\]|[^/:@\[\]]+):(.+)", re.DOTALL)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A git repository's address, free of credentials.

    Attributes:
        url: What git is given; an absolute path for a local repository.
        transport: How git speaks to it.
        host: Name, and port where one is given; empty for a local repository.
    """

    url: str
    transport: Transport
    host: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an https, http or ssh URL, `user@host:path`, or a local path.

        Raises:
            ActionFailed: Anything else, or credentials within the URL.
        """
        if not url or url.startswith("-") or _CONTROL.search(url) or _HELPER.match(url):
            raise _refused(url)
        if scheme := _SCHEME.match(url):
            return cls._parse_url(url, scheme[1].lower())
        if scp := _SCP.fullmatch(url):
            user, host, path = scp.groups()
            _check_host(url, user, host, path)
            return cls(url=url, transport="ssh", host=host)
        return cls._local(Path(url))

    @property
    def guards_secrets(self) -> bool:
        """Whether a token may travel there: not in clear over a network."""
        return self.transport != "http" or self._name in _LOOPBACK

    @property
    def _name(self) -> str | None:
        return urlsplit(self.url).hostname

    @classmethod
    def _parse_url(cls, url: str, scheme: str) -> Self:
        parts = _split(url)
        match scheme:
            case "file" if parts.netloc in {"", "localhost"}:
                return cls._local(Path(unquote(parts.path)))
            case "https" | "http" | "ssh":
                _check_credentials(parts, scheme)
                _check_host(url, parts.username, parts.hostname or "", parts.path)
                host = parts.netloc.rpartition("@")[2]
                # git knows its protocols in small letters only.
                url = scheme + url[len(scheme) :]
                return cls(url=url, transport=scheme, host=host)
        raise _refused(url)

    @classmethod
    def _local(cls, path: Path) -> Self:
        path = path.expanduser().resolve()
        if not path.is_dir():
            raise ActionFailed(f"no repository at {path}: there is no such folder")
        if not (path / ".git").exists() and not (path / "HEAD").is_file():
            raise ActionFailed(
                f"no repository at {path}",
                hint=_enclosing(path) or "make one with `git init` and commit",
            )
        return cls(url=str(path), transport="file")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # checked only when read
    except ValueError as error:
        raise ActionFailed(f"{_shown(url)} is not a URL: {error}") from error
    return parts


def _check_credentials(parts: SplitResult, scheme: str) -> None:
    # With http a token may stand in the place of the user, so that goes as well.
    if parts.password is None and (scheme == "ssh" or parts.username is None):
        return
    raise ActionFailed(
        f"{_shown(parts.geturl())} holds credentials, which would end up in logs",
        hint="name a secret in `credentials:` and leave the URL without",
    )


def _check_host(url: str, user: str | None, host: str, path: str) -> None:
    # ssh and the remote shell would read a leading dash as an option.
    if not host or any((part or "").startswith("-") for part in (user, host, path)):
        raise _refused(url)


def _enclosing(path: Path) -> str | None:
    around = next((up for up in path.parents if (up / ".git").exists()), None)
    return f"it is a folder of the repository {around}; name that" if around else None


def _refused(url: str) -> ActionFailed:
    return ActionFailed(
        f"{_shown(url)!r} is not the address of a git repository",
        hint="accepted: https://..., http://..., ssh://..., user@host:path, a folder",
    )


def _shown(url: str) -> str:
    return re.sub(r"//[^/]*@", "//***@", url)[:200]
