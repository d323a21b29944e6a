"""A fleet with releases that write down what they do, for tests and what they kill."""

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from polling import until

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.fleet import FleetEnvironment
from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.ledger import Ledger, Release, RolloutKind
from prefect_delivery.rollout import recover, roll_out

EVENTS = (
    *("BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop", "BeforeInstall"),
    *("AfterInstall", "ApplicationStart", "ValidateService", "BeforeAllowTraffic"),
    "AfterAllowTraffic",
)


def quiet(line: str) -> None:
    """A log that nobody reads."""


class Fleet:
    """An environment called `production` on hosts that are folders of this machine.

    Releases of one-host tests install into `www`; those of more hosts only run scripts.
    """

    environment = "production"

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.ledger = Ledger.open()
        self.names = [f"host{number}" for number in range(count)]
        self.addresses: dict[str, dict[str, Any]] = {}

    @property
    def www(self) -> Path:
        """Where releases install."""
        return self.folder / "www"

    def root(self, name: str) -> Path:
        return self.folder / "hosts" / name

    def block(self, **settings: Any) -> FleetEnvironment:
        hosts = [
            {"name": name, "root": str(self.root(name)), **self.addresses.get(name, {})}
            for name in self.names
        ]
        return FleetEnvironment.model_validate({"hosts": hosts, **settings})

    def release(
        self,
        version: str,
        *,
        appspec: str = "",
        scripts: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
        hooks: tuple[str, ...] = EVENTS,
    ) -> Release:
        """A release that notes each event in `events` of its host.

        Args:
            appspec: Further sections of it.
            scripts: Bodies by event, instead of the note.
            files: Further files of the bundle by path.
        """
        source = self.folder / "source" / version
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir(parents=True)
        text = f"version: 0.0\nos: linux\n{appspec}hooks:\n"
        for event in hooks:
            body = (scripts or {}).get(event, "")
            script = source / f"{event}.sh"
            script.write_text(
                "#!/bin/sh\n"
                'host="$(cd "$(dirname "$0")/../../.." && pwd)"\n'
                f'echo "{version} $LIFECYCLE_EVENT" >> "$host/events"\n{body}\n'
            )
            text += f"  {event}:\n    - location: {event}.sh\n      timeout: 60\n"
        (source / "appspec.yml").write_text(text if hooks else text[: -len("hooks:\n")])
        for path, content in (files or {}).items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(content)
        artifact = Artifact.of(source)
        return self.ledger.releases.create(
            pipeline="shop",
            execution_id="",
            artifact=ArtifactRef(digest=artifact.digest, size=artifact.size),
            revisions={"app": f"commit-{version}"},
            definition_digest="0" * 64,
            variables={"version": version},
        )

    def deploy(
        self, block: FleetEnvironment, release: Release, kind: RolloutKind = "forward"
    ) -> None:
        roll_out(
            self.ledger,
            block,
            self.environment,
            release,
            execution_id="",
            log=quiet,
            kind=kind,
        )

    def recover(self, block: FleetEnvironment) -> None:
        recover(Ledger.open(), block, self.environment, quiet)

    def events(self, name: str = "host0") -> list[str]:
        """What has happened on a host, and is forgotten then."""
        file = self.root(name) / "events"
        if not file.exists():
            return []
        lines = file.read_text().splitlines()
        file.unlink()
        return lines

    def current(self) -> str | None:
        found = self.ledger.releases.current(self.environment)
        return found.digest if found else None


class Sshd:
    """An ssh server of this machine, with keys of its own.

    Args:
        folder: Gets the keys and the configuration.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("key", "hostkey"):
            if not (folder / name).exists():
                command = ["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", name]
                subprocess.run(command, cwd=folder, check=True)
        authorized = folder / "authorized"
        authorized.write_text((folder / "key.pub").read_text())
        authorized.chmod(0o600)
        public = (folder / "hostkey.pub").read_text()
        known = f"[127.0.0.1]:{port} {public}"
        (folder / "known_hosts").write_text(known)
        config = folder / "sshd_config"
        config.write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/hostkey\n"
            f"PidFile {folder}/pid\nAuthorizedKeysFile {authorized}\nStrictModes no\n"
            "UsePAM no\nPasswordAuthentication no\nMaxStartups 100\n"
            "PermitRootLogin prohibit-password\n"
        )
        self.start()

    def start(self) -> None:
        """Start the server, which answers then."""
        Path("/run/sshd").mkdir(exist_ok=True)
        config, log = self.folder / "sshd_config", self.folder / "log"
        command = ["/usr/sbin/sshd", "-D", "-f", str(config), "-E", str(log)]
        self.process = subprocess.Popen(command, start_new_session=True)
        until(self.answers)

    @property
    def death(self) -> str:
        """A line of shell that ends the server and its sessions, as a lost host would."""
        pid = f"$(cat {self.folder}/pid)"
        # The server first: whoever misses a session may end the shell that runs this.
        return f"kill -9 {pid} $(cat /proc/{pid}/task/{pid}/children)"

    @property
    def host(self) -> dict[str, Any]:
        """What a host of a fleet says of it."""
        return {
            "address": "127.0.0.1",
            "port": self.port,
            "user": "root",
            "key": str(self.folder / "key"),
            "known_hosts": str(self.folder / "known_hosts"),
        }

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End the server and the sessions that it has open."""
        if self.process.poll() is None:
            subprocess.run(["sh", "-c", self.death], check=False)
        self.process.wait()
