"""One of the examples, published by a developer, and ways to release it."""

import re
from pathlib import Path

from git_http import GitServer, free_port
from git_work import Developer

from prefect_delivery import control
from prefect_delivery.blocks import HostEnvironment, find_environment
from prefect_delivery.definition import load_file
from prefect_delivery.engine.state import Execution
from prefect_delivery.flows.run import Watch, run_execution
from prefect_delivery.ledger import Ledger

EXAMPLES = Path(__file__).parents[2] / "examples"


class Example:
    """An example on a git server, and its definition with that address and free ports.

    Args:
        name: Folder of the example.
        folder: Gets the definition, and so the environments, and a clone.
        names: What the definition names, and what it is called here.

    Attributes:
        developer: Somebody with a clone who pushes through the server.
    """

    def __init__(
        self, name: str, server: GitServer, folder: Path, names: dict[str, str] = {}
    ) -> None:
        url = server.publish(EXAMPLES / name, f"{folder.name}-{name}")
        self.developer = Developer(folder / "clone")
        self.developer.git("remote", "add", "origin", url)
        self.developer.git("pull", "--quiet", "origin", "main")
        text = (self.developer.folder / "delivery.yaml").read_text()
        assert "{url: .}" in text
        text = re.sub(r"\bport: \d+", lambda _: f"port: {free_port()}", text)
        for old, new in names.items():
            assert old in text
            text = text.replace(old, new)
        definition = folder / "delivery.yaml"
        definition.write_text(text.replace("{url: .}", f"{{url: {url!r}}}"))
        self.definition = load_file(definition)
        self.ledger = Ledger.open()

    @property
    def commit(self) -> str:
        """What the developer has pushed last."""
        return self.developer.git("rev-parse", "HEAD")

    def push(self, old: str, new: str, *files: str) -> None:
        """Replace a text in files, and push the commit through the server."""
        texts = {name: (self.developer.folder / name).read_text() for name in files}
        assert all(old in text for text in texts.values())
        changed = {name: text.replace(old, new) for name, text in texts.items()}
        self.developer.commit(f"{old} becomes {new}", changed)
        self.developer.push()

    def run(self, *, local: bool = True) -> Execution:
        """Start an execution and drive it until it ends, or waits for a decision."""
        return self.go_on(control.start(self.ledger, self.definition), local=local)

    def go_on(self, execution: Execution, *, local: bool = True) -> Execution:
        """Drive an execution until it ends, or waits for a decision."""
        # What actions log is shown when a test fails.
        watch = Watch(lambda execution: None, print, stay=False)
        return run_execution(execution.id, watch, local=local, ledger=self.ledger)

    def approve(self) -> Execution:
        """Approve what waits in the latest execution, and drive that to its end."""
        pipeline = self.definition.pipeline
        return self.go_on(control.approve(self.ledger, pipeline, by="bob"))

    def environment(self, name: str) -> HostEnvironment:
        found = find_environment(name, self.definition.environments)
        assert isinstance(found, HostEnvironment)
        return found

    def shut_down(self) -> None:
        """Stop all services."""
        for name in self.definition.environments:
            self.environment(name).shut_down()
