"""Docker's own registry, started on this machine for a test."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import httpx
from git_http import free_port
from polling import until
from ruamel.yaml import YAML

PROGRAM = shutil.which("docker-registry")
USER, PASSWORD = "ann", "correct horse battery"
# The password's hash, with little work, since the registry checks it at each request.
USERS = f"{USER}:$2y$05$abcdefghijklmnopqrstuuD3mHdCr44zlIZ.VZCaYRpfQhXMYnEo.\n"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """A registry of images that keeps them in a folder.

    Args:
        auth: How it wants to know who asks; by default it lets everybody do all.
    """

    def __init__(self, folder: Path, auth: dict[str, Any] | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.host = f"127.0.0.1:{free_port()}"
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
            "http": {"addr": self.host},
        }
        if auth:
            config["auth"] = auth
        file = folder / "config.yml"
        YAML().dump(config, file)
        self._command = [str(PROGRAM), "serve", str(file)]
        self._log = (folder / "log").open("wb")
        self._client = httpx.Client(base_url=f"http://{self.host}", trust_env=False)

    def push(self, name: str, tag: str, content: str) -> str:
        """Push an image that differs by its content; its digest."""
        blob = json.dumps({"content": content}).encode()
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        begun = self._client.post(f"/v2/{name}/blobs/uploads/").raise_for_status()
        place = urlsplit(begun.headers["location"])
        self._client.put(
            place.path,
            params=[*parse_qsl(place.query), ("digest", digest)],
            content=blob,
        ).raise_for_status()
        config = {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(blob),
            "digest": digest,
        }
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config}
        made = self._client.put(
            f"/v2/{name}/manifests/{tag}",
            content=json.dumps({**manifest, "layers": []}),
            headers={"content-type": _MANIFEST},
        ).raise_for_status()
        return str(made.headers["docker-content-digest"])

    def _answers(self) -> bool:
        try:
            return self._client.get("/v2/").status_code < 500
        except httpx.TransportError:
            return False

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdout=self._log, stderr=subprocess.STDOUT
        )
        until(self._answers)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()
        self._client.close()
