"""A Docker work pool whose containers have the suite, without any registry.

The image holds folders and links only. The programs, Python and the suite are those of
this machine, mounted where they are here, for reading only.
"""

import io
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import psutil
from delivery_server import DeliveryServer
from deployed import Machine, until
from docker.models.containers import Container
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect_docker.worker import DockerWorker  # type: ignore[import-untyped]
from work_pools import Worker

IMAGE = "prefect-delivery-pool:1"
ROOT = Path(__file__).parents[2]
LABEL = "io.prefect.work-pool-name"


@dataclass
class Team:
    """What a team has: servers, a Docker pool, and a machine that starts pipelines.

    Attributes:
        notes: Folder that the containers share with the tests.
    """

    machine: Machine
    client: SyncPrefectClient
    engine: docker.DockerClient
    delivery: DeliveryServer
    notes: Path
    worker: Worker | None = None
    _workers: int = field(default=0)

    def containers(self) -> list[Container]:
        """The pool's containers, whether they run or not."""
        return self.engine.containers.list(
            all=True, filters={"label": f"{LABEL}=docker"}, ignore_removed=True
        )

    def work(self) -> None:
        """Start a worker of the Docker pool."""
        self._workers += 1
        log = f"worker-{self._workers}"
        command = ["prefect", "worker", "start", "--type", "docker", "--pool", "docker"]
        # The server of these tests asks for none, but workers hand on what they have.
        known = {"PREFECT_API_AUTH_STRING": "admin:of-prefect"}
        process = Machine(
            self.machine.folder, self.machine.url, {**self.machine.more, **known}
        ).start(*command, log=log)
        self.machine._started.append(process)
        until(lambda: "started!" in self.machine.output(log)[0], "the worker")
        self.worker = Worker(self.machine, log, psutil.Process(process.pid))

    def noted(self, *names: str) -> None:
        """Wait until containers have noted these names."""
        until(
            lambda: all((self.notes / name).exists() for name in names),
            f"the notes {', '.join(names)}",
        )

    def go(self) -> None:
        """Let what waits in containers go on."""
        (self.notes / "go").touch()


def make_image(engine: docker.DockerClient) -> None:
    """Import the image; it takes milliseconds."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("usr", "tmp", "work", "root", "etc", "proc", "dev", "sys"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = (
                tarfile.DIRTYPE,
                0o1777 if name == "tmp" else 0o755,
            )
            archive.addfile(folder)
        for name in ("bin", "lib", "lib64", "sbin"):
            if Path("/", name).is_symlink():
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
                archive.addfile(link)
        users = tarfile.TarInfo("etc/passwd")
        text = b"root:x:0:0:root:/root:/bin/sh\n"
        users.size = len(text)
        archive.addfile(users, io.BytesIO(text))
    name, tag = IMAGE.split(":")
    # Prefect copies the folder that it starts a flow in.
    engine.api.import_image_from_data(
        buffer.getvalue(), name, tag, changes=["WORKDIR /work"]
    )


def mounts() -> list[str]:
    """What of this machine the containers see."""
    real = {"/usr", sys.base_prefix, sys.prefix, str(ROOT)}
    real |= {f"/{name}" for name in ("bin", "lib", "lib64") if _is_folder(name)}
    inner = {each for each in real if any(_within(each, other) for other in real)}
    return [f"{each}:{each}:ro" for each in sorted(real - inner)]


def make_pool(
    client: SyncPrefectClient, name: str, volumes: list[str], **defaults: Any
) -> None:
    """Make a pool whose containers are made of the image and share `volumes`."""
    template = DockerWorker.get_default_base_job_template()
    given: Mapping[str, Any] = {
        "image": IMAGE,
        "image_pull_policy": "Never",
        "network_mode": "host",
        "auto_remove": True,
        "volumes": [*mounts(), *volumes],
        "env": {"PATH": f"{sys.prefix}/bin:/usr/bin:/bin"},
        **defaults,
    }
    for variable, value in given.items():
        template["variables"]["properties"][variable]["default"] = value
    made = WorkPoolCreate(name=name, type="docker", base_job_template=template)
    client.create_work_pool(made)


def _is_folder(name: str) -> bool:
    place = Path("/", name)
    return place.is_dir() and not place.is_symlink()


def _within(path: str, other: str) -> bool:
    return path != other and Path(path).is_relative_to(other)
