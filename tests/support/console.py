"""Runs what a page of the docs shows, and says what comes out.

A page is a session: a fenced block after `<!-- file: NAME -->` is a file to write, each
`$` in a `console` block is a command. `bob$` is a command of Bob's. What follows a
command is what it prints.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from git_http import free_port

FENCE = re.compile(
    r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>\w*)\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
PROMPT = re.compile(r"^(?P<who>\w*)\$ (?P<command>.*)$")
VARIES = [
    (re.compile(r"\b[0-9a-f]{7,64}\b"), "DIGEST"),
    (re.compile(r"\[ *(\d+m )?\d+s\]"), "[TIME]"),
    (re.compile(r"\b(\d+m )?\d+(\.\d+)?(s|ms| s| ms)\b"), "TIME"),
    (re.compile(r"\b\d{1,2} [A-Z][a-z]{2} \d\d:\d\d\b"), "DATE"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?\b"), "DATE"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r" +"), " "),
]


@dataclass
class Session:
    """A page's project, in a folder of its own with a home of its own.

    Attributes:
        folder: Stands for the home folder; the project is `shop` in it.
        port: What the page's port is replaced by, so that tests can run side by side.
    """

    folder: Path
    shown_port: str
    port: str

    def page(self, text: str) -> str:
        """The page, with what its commands print now."""
        (self.folder / "shop").mkdir(parents=True)
        return FENCE.sub(lambda match: self._block(match), text)

    def _block(self, match: "re.Match[str]") -> str:
        body = match["body"]
        if match["file"]:
            path = self.folder / "shop" / match["file"]
            path.write_text(body.replace(self.shown_port, self.port))
        elif match["kind"] == "console":
            return match[0].replace(body, self._console(body))
        return match[0]

    def _console(self, body: str) -> str:
        lines = []
        for line in body.splitlines():
            if prompt := PROMPT.match(line):
                lines += [line, *self._run(prompt["command"], prompt["who"])]
        return "".join(f"{line}\n" for line in lines)

    def _run(self, command: str, who: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", command.replace(self.shown_port, self.port)],
            cwd=self.folder / "shop",
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT")},
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "PREFECT_DELIVERY_HOME": str(self.folder / ".delivery"),
                "PREFECT_DELIVERY_USER": who or "ann",
                "CI": "true",
                "COLUMNS": "100",
                "GIT_CONFIG_GLOBAL": str(self._git_config()),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        said = done.stdout.replace(str(self.folder), "~")
        said = said.replace(self.port, self.shown_port)
        return [line.rstrip() for line in said.splitlines()]

    def _git_config(self) -> Path:
        path = self.folder / ".gitconfig"
        path.write_text(
            "[user]\nname = Ann\nemail = ann@example.com\n[init]\ndefaultBranch = main\n"
        )
        return path


def session(folder: Path, port: str) -> Session:
    """A session for a page that uses a port, on another port that is free."""
    return Session(folder, port, str(free_port()))


def normal(page: str) -> str:
    """A page without what differs from run to run: times, digests, addresses."""
    for pattern, word in VARIES:
        page = pattern.sub(word, page)
    return page
