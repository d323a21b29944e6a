"""When two addresses mean the same repository."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_SCP = re.compile(r"(?:[^@/:]+@)?(\[[^\]]+\]|[^/:@\[\]]+):(?!//)(.+)", re.DOTALL)

_OF_AWS = ("arn:", "codecommit://")


def identity_of(url: str) -> str:
    """What all addresses of a repository share: `github.com/ann/shop`.

    Protocol, user, a port of ssh, `.git` and the case of the host do not count. A folder
    is its path. What only AWS knows, by ARN or in CodeCommit, has one address.
    """
    url = url.strip()
    if url.startswith(_OF_AWS):
        return url
    if "://" in url:
        parts = urlsplit(url)
        if parts.scheme.lower() != "file":
            host = (parts.hostname or "").lower()
            usual = {"http": 80, "https": 443, "ssh": parts.port, "git": 9418}
            port = parts.port
            if port and port != usual.get(parts.scheme.lower()):
                host = f"{host}:{port}"
            return f"{host}/{_path(parts.path)}"
        url = unquote(parts.path)
    elif scp := _SCP.fullmatch(url):
        return f"{scp[1].lower()}/{_path(scp[2])}"
    return str(Path(url).expanduser().resolve())


def _path(path: str) -> str:
    return path.strip("/").removesuffix(".git")


def place_of(configuration: Mapping[str, Any]) -> str:
    """Account and region, of a source at AWS, as far as its configuration names them."""
    account = configuration.get("role_arn") or configuration.get("credentials")
    named = (account, configuration.get("region"))
    return ".".join(str(part) for part in named if part)
