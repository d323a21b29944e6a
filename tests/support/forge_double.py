"""A double of the forges' APIs for commit statuses.

No forge can run here, so this checks what their documentation asks for: paths, access,
states, and how long a value may be. What it does not know, it refuses.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "a token that may do it"
COMMIT = r"[0-9a-f]{40}"
PATHS = {
    "github": rf"/api/repos/[\w-]+/[\w-]+/(statuses/{COMMIT}|check-runs)",
    "gitea": rf"/api/repos/[\w-]+/[\w-]+/statuses/{COMMIT}",
    "gitlab": rf"/api/projects/[\w-]+%2F[\w-]+/statuses/{COMMIT}",
    "bitbucket": rf"/api/repositories/[\w-]+/[\w-]+/commit/{COMMIT}/statuses/build",
}
ACCESS = {
    "github": ("Authorization", f"Bearer {TOKEN}"),
    "gitea": ("Authorization", f"token {TOKEN}"),
    "gitlab": ("PRIVATE-TOKEN", TOKEN),
    "bitbucket": ("Authorization", f"Bearer {TOKEN}"),
}
STATES = {
    "github": {"pending", "success", "failure", "error"},
    "gitea": {"pending", "success", "failure", "error", "warning"},
    "gitlab": {"pending", "running", "success", "failed", "canceled", "skipped"},
    "bitbucket": {"SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"},
}


@dataclass
class ForgeDouble:
    """What it was told, and how it answers.

    Attributes:
        told: Name of the status and its state, in order.
        bodies: All that was told, in order.
        paths: Where, in order.
        is_app: Whether the token is one of a GitHub App, which may write check runs.
        answers: Statuses that the next requests are answered with, whatever they are.
    """

    forge: str
    port: int = 0
    is_app: bool = False
    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    paths: list[str] = field(default_factory=list[str])
    answers: list[int] = field(default_factory=list[int])
    asked: int = 0

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def now(self) -> dict[str, str]:
        """The newest state of each status."""
        return dict(self.told)

    def answer(self, path: str, headers: Any, body: dict[str, Any]) -> int:
        self.asked += 1
        if self.answers:
            return self.answers.pop(0)
        name, value = ACCESS[self.forge]
        if headers.get(name) != value:
            return 401
        if not re.fullmatch(PATHS[self.forge], path):
            return 404
        check = path.endswith("/check-runs")
        if check and not self.is_app:
            return 403
        fits = self._fits_check(body) if check else self._fits(body)
        if not fits:
            return 422
        state = body.get("conclusion") or body.get("state") or body["status"]
        context = body.get("context") or body["name"]
        if self.forge == "gitlab" and self.now.get(context) == state:
            return 400
        self.told.append((context, state))
        self.paths.append(path)
        self.bodies.append(body)
        return 201

    def _fits(self, body: dict[str, Any]) -> bool:
        if body.get("state") not in STATES[self.forge]:
            return False
        most = 255 if self.forge == "gitlab" else 140
        if len(body["description"]) > most:
            return False
        if self.forge == "bitbucket":
            link = body["url"].startswith("http")
            return link and 0 < len(body["key"]) <= 40
        return bool(body.get("name" if self.forge == "gitlab" else "context"))

    def _fits_check(self, body: dict[str, Any]) -> bool:
        ended = body["status"] == "completed"
        conclusions = {"success", "failure", "cancelled", "neutral"}
        if ended != (body.get("conclusion") in conclusions):
            return False
        output = body["output"]
        marks = output["annotations"]
        wanted = {"path", "start_line", "end_line", "annotation_level", "message"}
        return (
            re.fullmatch(COMMIT, body["head_sha"]) is not None
            and bool(body["name"] and output["title"])
            and len(output["summary"]) <= 65535
            and len(marks) <= 50
            and all(wanted <= set(mark) for mark in marks)
        )


@contextmanager
def forge_double(forge: str) -> Iterator[ForgeDouble]:
    """A double that listens on this machine."""
    double = ForgeDouble(forge)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            with lock:
                status = double.answer(self.path, self.headers, body)
            said = b"Cannot transition status" if status == 400 else b"{}"
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *words: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.port = listening.server_address[1]
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield double
    finally:
        listening.shutdown()
        listening.server_close()
