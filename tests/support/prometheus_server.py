"""Debian's Prometheus, started on this machine for a test."""

import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from polling import until

PROGRAM = shutil.which("prometheus")

CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["{target}"]}}]
"""
RULES = """
groups:
  - name: shop
    rules: [{alert: TooManyErrors, expr: shop_errors > 2}]
"""


class Prometheus:
    """Scrapes `/metrics` of a target each second; alerts when it has over 2 errors."""

    def __init__(self, folder: Path, target: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{address}"
        rules, config = folder / "rules.yml", folder / "prometheus.yml"
        rules.write_text(RULES)
        config.write_text(CONFIG.format(rules=rules, target=target))
        self._command = [
            str(PROGRAM),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
        ]
        self._log = (folder / "log").open("wb")

    def result(self, query: str) -> list[Any]:
        """What an instant query answers; empty while the server is not ready."""
        try:
            answer = httpx.get(
                f"{self.url}/api/v1/query", params={"query": query}, trust_env=False
            )
        except httpx.TransportError:
            return []
        return list(answer.json()["data"]["result"]) if answer.is_success else []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdout=self._log, stderr=subprocess.STDOUT
        )
        until(lambda: bool(self.result("up == 1")))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()
