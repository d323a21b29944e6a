"""A container image with this machine's Python and FastAPI, made without any network."""

import importlib.metadata
import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import docker
from shell_image import file_system

NAME = "python:3.12-slim"
"""What it stands in for, as no registry of images is reached from here."""
SERVED = ("fastapi", "uvicorn")
_LEFT_OUT = {"site-packages", "test", "__pycache__", "idlelib", "tkinter", "ensurepip"}


def import_python_image(engine: docker.DockerClient) -> None:
    """Import the image. Its `pip` installs nothing: FastAPI is there."""
    root = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = root / "lib" / version
    program = root / "bin" / version
    packages = _installed(SERVED)
    modules = [file for _, file in packages if file.suffix == ".so"]
    needed = _libraries([program, *library.glob("lib-dynload/*.so"), *modules])
    buffer = io.BytesIO(file_system())
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        there = {f"/{name}" for name in archive.getnames()}
        for file in sorted({program, *needed}):
            if str(file) in there:
                continue
            archive.add(file.resolve(), str(file).lstrip("/"))
        archive.add(
            library,
            str(library).lstrip("/"),
            filter=lambda it: None if Path(it.name).name in _LEFT_OUT else it,
        )
        place = str(library / "site-packages").lstrip("/")
        for name, file in packages:
            archive.add(file, f"{place}/{name}")
        _write(archive, "usr/local/bin/pip", b"#!/bin/sh\nexit 0\n")
        link = tarfile.TarInfo("usr/local/bin/python")
        link.type, link.linkname = tarfile.SYMTYPE, str(program)
        archive.addfile(link)
    repository, _, tag = NAME.partition(":")
    settings = ["ENV PATH /usr/local/bin:/bin"]
    engine.api.import_image_from_data(
        buffer.getvalue(), repository, tag, changes=settings
    )


def _installed(names: tuple[str, ...]) -> "set[tuple[str, Path]]":
    """Files of packages and of all that they need."""
    found: set[tuple[str, Path]] = set()
    seen, ahead = set[str](), list(names)
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        package = importlib.metadata.distribution(name)
        for file in package.files or []:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                found.add((str(file), Path(str(file.locate()))))
        for line in package.requires or []:
            if ";" not in line:
                ahead.append(re.split(r"[^\w.-]", line)[0])
    return found


def _libraries(programs: list[Path]) -> set[Path]:
    said = subprocess.run(
        ["ldd", *map(str, programs)], capture_output=True, text=True, check=True
    ).stdout
    return {Path(path) for path in re.findall(r"(/\S+) \(0x", said)}


def _write(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o755
    archive.addfile(entry, io.BytesIO(content))
