"""A double of Jenkins, whose war no package registry has.

Written from its remote access API: crumbs, basic authentication, the queue, parameters
that a job does not declare being dropped, progressive logs, stops. It runs a job's
script for real, with the parameters as environment.
"""

import base64
import io
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

USER, TOKEN = "deliver", "token-of-jenkins"
CRUMB = ("Jenkins-Crumb", "crumb-of-the-session")
JOB = "shop"
Data = dict[str, Any]


@dataclass
class Build:
    number: int
    queue_id: int
    parameters: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes]
    stopped: bool = False

    @property
    def building(self) -> bool:
        return self.process.poll() is None

    @property
    def result(self) -> str | None:
        if self.building:
            return None
        if self.stopped:
            return "ABORTED"
        return "FAILURE" if self.process.returncode else "SUCCESS"


@dataclass
class JenkinsDouble:
    """A server with one job, `shop`.

    Attributes:
        script: What its builds run.
        declared: Parameters that the job has.
        held: Builds stay in the queue while it is set.
        forgetful: The queue has forgotten what has left it.
        cut: How many of the next starts have their answer cut off, after the effect.
        ill: How many of the next looks at a build are answered 503.
        report: Counts of the test report, if there is one.
        started: Everything that was asked for, with its parameters.
        paths: The path of every request, with its query.
    """

    script: str = "echo built"
    declared: tuple[str, ...] = ("APP_URL", "DELIVERY_KEY")
    held: bool = False
    forgetful: bool = False
    cut: int = 0
    ill: int = 0
    report: dict[str, int] | None = None
    builds: list[Build] = field(default_factory=list[Build])
    queue: dict[int, dict[str, str]] = field(default_factory=dict[int, dict[str, str]])
    cancelled: set[int] = field(default_factory=set[int])
    started: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    paths: list[str] = field(default_factory=list[str])
    address: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, parameters: dict[str, str]) -> int:
        number = len(self.started) + 1
        self.started.append(parameters)
        kept = {k: v for k, v in parameters.items() if k in self.declared}
        self.queue[number] = kept
        return number

    def advance(self) -> None:
        """Let what waits begin, unless it is held."""
        for queue_id, parameters in list(self.queue.items()) if not self.held else ():
            del self.queue[queue_id]
            folder = Path(tempfile.mkdtemp(prefix="jenkins-"))
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", self.script],
                    cwd=folder,
                    env={"PATH": os.environ["PATH"], **parameters},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            number = len(self.builds) + 1
            self.builds.append(Build(number, queue_id, parameters, folder, process))

    def answer(self, method: str, path: str, asked: dict[str, str]) -> Any:
        """What a path gives: JSON, or a status, headers and a body."""
        place = f"/job/{JOB}/"
        match method, path:
            case "GET", "/api/json":
                job = {"_class": _free("Project"), "name": JOB}
                return {
                    "_class": "hudson.model.Hudson",
                    "jobs": [{**job, "url": f"{self.address}{place}"}],
                }
            case "GET", "/queue/api/json":
                items = [
                    {"id": key, "actions": _actions(each)}
                    for key, each in self.queue.items()
                ]
                return {"items": items}
            case "GET", "/job/shop/api/json":
                definitions = [{"name": name} for name in self.declared]
                return {
                    "_class": _free("Project"),
                    "property": [{"parameterDefinitions": definitions}]
                    if definitions
                    else [],
                    "builds": [
                        {
                            "number": each.number,
                            "queueId": each.queue_id,
                            "actions": [{}, *_actions(each.parameters)],
                        }
                        for each in reversed(self.builds)
                    ],
                }
            case "POST", "/job/shop/build" if self.declared:
                return 400, {"X-Error": "This page expects a form submission"}, b""
            case "POST", "/job/shop/buildWithParameters" if not self.declared:
                return 500, {}, b"shop is not parameterized"
            case "POST", "/job/shop/build" | "/job/shop/buildWithParameters":
                queued = self.start(asked)
                place = f"{self.address}/queue/item/{queued}/"
                return 201, {"Location": place}, b""
            case "POST", "/queue/cancelItem":
                known = self.queue.pop(int(asked["id"]), None) is not None
                self.cancelled |= {int(asked["id"])} if known else set()
                return 204 if known else 404, {}, b""
            case "GET", _ if found := re.fullmatch(r"/queue/item/(\d+)/api/json", path):
                return self._item(int(found[1]))
            case _, _ if found := re.fullmatch(rf"{place}(\d+)/(.+)", path):
                return self._build(
                    method, self.builds[int(found[1]) - 1], found[2], asked
                )
        return 404, {}, b""

    def _item(self, queue_id: int) -> Any:
        if queue_id in self.cancelled:
            return {"_class": "hudson.model.Queue$LeftItem", "cancelled": True}
        if queue_id in self.queue:
            return {"_class": "hudson.model.Queue$WaitingItem", "why": "held"}
        if self.forgetful:
            return 404, {}, b""
        (build,) = (each for each in self.builds if each.queue_id == queue_id)
        return {
            "_class": "hudson.model.Queue$LeftItem",
            "executable": {"number": build.number},
        }

    def _build(
        self, method: str, build: Build, entry: str, asked: dict[str, str]
    ) -> Any:
        match method, entry:
            case "GET", "api/json" if self.ill:
                self.ill -= 1
                return 503, {}, b""
            case "GET", "api/json":
                return {
                    "_class": _free("Build"),
                    "building": build.building,
                    "result": build.result,
                    "number": build.number,
                    "fullDisplayName": f"{JOB} #{build.number}",
                }
            case "GET", "logText/progressiveText":
                log = (build.folder / "log").read_bytes()
                more = {"X-More-Data": "true"} if build.building else {}
                text = log[int(asked["start"]) :]
                return 200, {"X-Text-Size": str(len(log)), **more}, text
            case "POST", "stop":
                build.stopped = build.building
                if build.building:
                    os.killpg(build.process.pid, signal.SIGTERM)
                    build.process.wait()
                return 302, {"Location": self.address}, b""
            case "GET", "testReport/api/json" if self.report:
                return {"_class": "hudson.tasks.junit.TestResult", **self.report}
            case "GET", "artifact/*zip*/archive.zip":
                return 200, {}, _zipped(build.folder / "dist")
        return 404, {}, b""


@contextmanager
def jenkins(double: JenkinsDouble) -> Iterator[None]:
    """Serve it; whatever still builds at the end is killed."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._do("GET")

        def do_POST(self) -> None:
            self._do("POST")

        def _do(self, method: str) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length).decode()
            asked = dict(parse_qsl(parts.query) + parse_qsl(body))
            with double.lock:
                double.paths.append(self.path)
                double.advance()
                found = self._checked(method, parts.path, asked)
            if isinstance(found, dict):
                content = json.dumps(found).encode()
                found = 200, {"Content-Type": "application/json"}, content
            status, headers, content = found
            if status == 201 and double.cut:
                double.cut -= 1
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _checked(self, method: str, path: str, asked: dict[str, str]) -> Any:
            access = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {access}":
                return 401, {}, b""
            if path == "/crumbIssuer/api/json":
                return {"crumbRequestField": CRUMB[0], "crumb": CRUMB[1]}
            if method == "POST" and self.headers.get(CRUMB[0]) != CRUMB[1]:
                return 403, {}, b"No valid crumb was included in the request"
            return double.answer(method, path, asked)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        for build in double.builds:
            if build.building:
                os.killpg(build.process.pid, signal.SIGKILL)
                build.process.wait()


def _free(what: str) -> str:
    return f"hudson.model.FreeStyle{what}"


def _actions(parameters: dict[str, str]) -> list[Data]:
    return [
        {"parameters": [{"name": k, "value": v} for k, v in parameters.items()]},
    ]


def _zipped(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"archive/dist/{file.relative_to(folder)}")
    return out.getvalue()
