"""The demo: three commits of a small shop, one of them bad, delivered for real."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from prefect_delivery import control
from prefect_delivery.blocks.host import HostEnvironment
from prefect_delivery.blocks.host_service import is_free
from prefect_delivery.demo.visitors import Visitors
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings

Drive = Callable[[Execution], Execution]
Say = Callable[[str], None]

PORT = 8100
"""Port in the shop's definition; the next free one is taken."""
HELLO, WELCOME = 'f"hello {visitor}"', 'f"welcome {visitor}"'
SAFE, UNSAFE = 'os.environ.get("VISITOR", "you")', 'os.environ["VISITOR"]'
"""Nobody sets VISITOR: no test asks for it, every visitor meets it."""


@dataclass
class Demo:
    """A repository with a pipeline, an environment, and people who use the service.

    Attributes:
        folder: Holds the repository `shop` and the environment `site`.
        drive: Carries out an execution and shows it.
        say: Tells the person what happens.
    """

    folder: Path
    ledger: Ledger
    drive: Drive
    say: Say

    @property
    def shop(self) -> Path:
        return self.folder / "shop"

    def play(self) -> None:
        """Deliver three commits.

        Raises:
            ActionFailed: It did not go as the demo says; this is a bug of ours.
        """
        self._create()
        self.say("\n1. The first commit becomes the first release.")
        first = self._deliver()
        _expect(first, Status.SUCCEEDED)
        environment = self._environment(first)
        with self._visitors(environment) as visitors:
            self.say("\n2. A second commit, released while people use the service.")
            self._commit("say welcome instead", "greeting.py", HELLO, WELCOME)
            _expect(self._deliver(), Status.SUCCEEDED)
            second = environment.observe()
            self.say("\n3. A third commit that its tests let through, and that is bad.")
            self._commit("greet the visitor set", "server.py", SAFE, UNSAFE)
            third = self._deliver()
            _expect(third, Status.FAILED)
        self._conclude(environment, visitors, second, third)

    def _create(self) -> None:
        """Make the repository anew; an environment that an earlier demo left is ended."""
        stop(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.shop.mkdir(parents=True)
        for source in files(__name__).joinpath("shop").iterdir():
            if source.is_file():
                text = source.read_text().replace(str(PORT), str(_free_port()))
                (self.shop / source.name).write_text(text)
        self._git("init", "-q", "-b", "main")
        self._git("config", "user.name", "Demo")
        self._git("config", "user.email", "demo@shop.example")
        self._git("add", ".")
        self._git("commit", "-qm", "a shop that says hello")

    def _commit(self, message: str, file: str, old: str, new: str) -> None:
        source = self.shop / file
        source.write_text(source.read_text().replace(old, new))
        self._git("commit", "-qam", message)

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", "-C", str(self.shop), *arguments], check=True)

    def _deliver(self) -> Execution:
        from prefect_delivery.definition import load_file

        definition = load_file(self.shop / "delivery.yaml")
        started = control.start(
            self.ledger, definition, variables={"python": sys.executable}
        )
        return self.drive(started)

    def _environment(self, execution: Execution) -> HostEnvironment:
        configuration = dict(execution.definition.environments["production"])
        configuration.pop("kind")
        return HostEnvironment(**configuration)

    def _visitors(
        self, environment: HostEnvironment
    ) -> AbstractContextManager[Visitors]:
        return Visitors(f"{environment.address}/")

    def _conclude(
        self,
        environment: HostEnvironment,
        visitors: Visitors,
        second: str | None,
        third: Execution,
    ) -> None:
        current = self.ledger.releases.current("demo/production")
        serving = environment.observe()
        if not current or serving != second or current.digest != serving:
            raise ActionFailed(f"{serving} serves, not the second release {second}")
        if "Production" not in third.stages:
            raise ActionFailed(
                f"the bad commit did not reach production: {third.reason}"
            )
        self.say(
            f"\nThe bad one was rolled back. The second release serves at {environment.address}: "
            f"{visitors.answered} requests while all this went on, "
            f"{visitors.failed} failed."
        )
        if not environment.has_traffic:
            self.say(
                "HAProxy is not installed: each switch stops the service for a moment, "
                "and requests fail in it. With HAProxy, none does."
            )
        elif visitors.failed:
            raise ActionFailed(f"{visitors.failed} requests failed: {visitors.last}")


def _free_port() -> int:
    return next(port for port in range(PORT, PORT + 100) if is_free(port))


def _expect(execution: Execution, status: Status) -> None:
    if execution.status is not status:
        raise ActionFailed(
            f"{execution.title} {execution.status}: {execution.reason}",
            hint=f"deliver logs {execution.pipeline} {execution.number} --failed",
        )


def folder() -> Path:
    """Where the demo lives."""
    return settings().home / "demo"


def stop(where: Path) -> bool:
    """End the service that a demo left running; False when there is none."""
    site = where / "site"
    if not site.exists():
        return False
    HostEnvironment(root=site).shut_down()
    return True
