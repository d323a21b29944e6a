"""A container image that holds a shell and little else; made without any network."""

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import docker

PROGRAMS = ("sh", "sleep", "cat", "env", "head", "id", "touch")
IMAGE = "prefect-delivery-test:1"


def import_shell_image(engine: docker.DockerClient) -> str:
    """Import the image; its name."""
    engine.api.import_image_from_data(file_system(), *IMAGE.split(":"))
    return IMAGE


def file_system() -> bytes:
    """A tar archive with some programs of this machine and the libraries they need."""
    files = {f"bin/{name}": Path(shutil.which(name) or name) for name in PROGRAMS}
    for program in list(files.values()):
        needed = subprocess.run(
            ["ldd", program], capture_output=True, text=True, check=True
        )
        for library in re.findall(r"(/\S+) \(0x", needed.stdout):
            files[library.lstrip("/")] = Path(library)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        for name, path in files.items():
            archive.add(path.resolve(), name)
    return buffer.getvalue()
