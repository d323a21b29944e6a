"""How git proves to a server who we are, and how the server proves it to us."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from prefect_delivery.errors import ActionFailed
from prefect_delivery.secrets import fetch_secrets
from prefect_delivery.tasks.source.remote import Remote

__all__ = ["Access"]

# git asks for a name, then a password, of the server in the question. A submodule or a
# redirect may ask for another server, which gets no answer.
_ASKPASS = """\
#!/bin/sh
case "$1" in
"Username for '$DELIVERY_GIT_ORIGIN': ") printf '%s\\n' "$DELIVERY_GIT_USERNAME" ;;
"Password for '$DELIVERY_GIT_SCHEME://"*"@$DELIVERY_GIT_HOST': ")
    printf '%s\\n' "$DELIVERY_GIT_TOKEN" ;;
*) exit 1 ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a repository asks of us.

    Attributes:
        secret: A token for http(s), a private key for ssh; None where none is needed.
        username: Sent with the token.
        known_hosts: Lines of a known_hosts file; None for the worker's own.
    """

    secret: str | None = None
    username: str = ""
    known_hosts: str | None = None

    @classmethod
    def named(
        cls, credentials: str | None, *, username: str, known_hosts: str | None
    ) -> "Access":
        """Look up the secret that `credentials` names.

        Raises:
            ActionFailed: There is no such secret, or it is too short.
        """
        wanted = {"secret": credentials} if credentials else {}
        secret = fetch_secrets(wanted).get("secret")
        return cls(secret=secret, username=username, known_hosts=known_hosts)

    def environment(self, remote: Remote, folder: Path) -> dict[str, str]:
        """Variables for git; files they point to are written into `folder`.

        Raises:
            ActionFailed: The token would travel in clear.
        """
        if remote.transport == "ssh":
            agent = os.environ.get("SSH_AUTH_SOCK", "")
            command = shlex.join(self._ssh(folder))
            return {"GIT_SSH_COMMAND": command, "SSH_AUTH_SOCK": agent}
        if not self.secret or remote.transport == "file":
            return {}
        return self._askpass(remote, folder, self.secret)

    def _askpass(self, remote: Remote, folder: Path, token: str) -> dict[str, str]:
        if not remote.guards_secrets:
            raise ActionFailed(
                f"a token for {remote.host} would travel in clear",
                hint="use https:// or ssh://",
            )
        return {
            "GIT_ASKPASS": str(_write(folder / "askpass", _ASKPASS, mode=0o700)),
            "DELIVERY_GIT_ORIGIN": f"{remote.transport}://{remote.host}",
            "DELIVERY_GIT_SCHEME": remote.transport,
            "DELIVERY_GIT_HOST": remote.host,
            "DELIVERY_GIT_USERNAME": self.username,
            "DELIVERY_GIT_TOKEN": token,
        }

    def _ssh(self, folder: Path) -> list[str]:
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=30"]
        if self.known_hosts is not None:
            hosts = _write(folder / "known_hosts", self.known_hosts.rstrip() + "\n")
            options += [f'UserKnownHostsFile="{hosts}"', "GlobalKnownHostsFile=none"]
        if self.secret:
            key = _write(folder / "key", self.secret.rstrip() + "\n")
            options += [f'IdentityFile="{key}"', "IdentitiesOnly=yes"]
        return ["ssh", *(part for option in options for part in ("-o", option))]


def _write(path: Path, text: str, *, mode: int = 0o600) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    path.chmod(mode)
    return path
