"""A real ssh server on loopback, for the current user, with keys of its own."""

import getpass
import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from git_http import free_port, listening, running, wait_until

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
MISSING = [] if SSHD else ["sshd (openssh-server)"]

_CONFIGURATION = """
ListenAddress 127.0.0.1:{port}
HostKey {root}/host
PidFile {root}/sshd.pid
AuthorizedKeysFile {root}/user.pub
AuthenticationMethods publickey
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
"""


class SshServer:
    """Lets the holder of `key` read what this user may read.

    Attributes:
        key: Private key of a user who may come in.
        stranger: Private key of one who may not.
        known_hosts: The line of a known_hosts file for this server.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        self._programs = ExitStack()

    def __enter__(self) -> Self:
        assert SSHD
        self.root.mkdir()
        # sshd does not start without this folder, which its package's service makes.
        Path("/run/sshd").mkdir(exist_ok=True)
        self.key, self.stranger = self._keygen("user"), self._keygen("stranger")
        self._keygen("host")
        public = (self.root / "host.pub").read_text()
        self.known_hosts = f"[127.0.0.1]:{self.port} {public}"
        configuration = self.root / "sshd_config"
        configuration.write_text(_CONFIGURATION.format(root=self.root, port=self.port))
        program = [SSHD, "-D", "-e", "-f", str(configuration)]
        with ExitStack() as programs:
            programs.enter_context(running(program))
            wait_until(lambda: listening(self.port))
            self._programs = programs.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._programs.close()

    def url(self, path: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"

    def _keygen(self, name: str) -> str:
        file = self.root / name
        arguments = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(file)]
        subprocess.run(["ssh-keygen", *arguments], check=True)
        return file.read_text()
