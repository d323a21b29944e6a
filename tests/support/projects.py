"""A repository whose pipeline builds a site and puts it into an environment."""

import json
import os
from pathlib import Path
from typing import Any, Self

from auditor import audit
from processes import Child
from repository import Shop

from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.engine.state import Execution
from prefect_delivery.ledger import Ledger

ENVIRONMENT = "shop/production"
APPROVAL = {"uses": "approval/manual"}
FOR_PRODUCTION = {**APPROVAL, "with": {"environment": "production"}}


class Project(Shop):
    """The repository, its ledger and the environment that its pipeline deploys to."""

    @classmethod
    def at(cls, folder: Path) -> Self:
        """Make one in a new folder, with a pipeline and a commit."""
        folder.mkdir()
        made = cls(folder, Ledger.open())
        made.git("init", "-q", "-b", "main")
        made.git("config", "user.name", "Ann")
        made.git("config", "user.email", "ann@shop.example")
        made.publish()
        return made

    @property
    def root(self) -> Path:
        """Folder of the environment."""
        return self.folder.with_name("site")

    @property
    def target(self) -> HostEnvironment:
        return HostEnvironment(root=self.root)

    @property
    def served(self) -> str | None:
        """What the environment serves: the text that the build has left."""
        file = self.root / "current" / "dist" / "greeting"
        return file.read_text().strip() if file.exists() else None

    def publish(
        self,
        *commands: str,
        greeting: str = "hello",
        before: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        beside: dict[str, Any] | None = None,
        build: dict[str, Any] | None = None,
        gates: dict[str, Any] | None = None,
        hooks: dict[str, list[str]] | None = None,
        environment: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        on_failure: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Commit a definition whose build runs these commands, then leaves `greeting`.

        Args:
            before: Actions of a stage between the source and the build.
            options: More of the build's configuration.
            beside: Actions that run at the same time as the build.
            build: More of the build action.
            gates: The environment's gates; a stage before it then asks for approval.
            hooks: The environment's hooks.
            environment: More of its configuration.
            after: Actions of the stage that deploys, after the deployment.
            on_failure: What that stage does when it fails.
            more: More of the pipeline, such as its `mode`.
        """
        steps = [*commands, "mkdir -p dist", f"echo {greeting} > dist/greeting"]
        package = {
            "uses": "build/commands",
            "inputs": "app",
            "outputs": {"site": ["dist/**"]},
            "with": {"commands": steps, **(options or {})},
            **(build or {}),
        }
        app = {"uses": "source/git", "with": {"url": str(self.folder)}}
        deploy = {
            "uses": "deploy/environment",
            "inputs": "site",
            "with": {"environment": "production"},
        }
        stages = {
            "Source": {"actions": {"app": app}},
            **({"Before": {"actions": before}} if before else {}),
            "Build": {"actions": {"package": package, **(beside or {})}},
            **({"Approve": {"actions": {"ok": FOR_PRODUCTION}}} if gates else {}),
            "Production": {
                "actions": {"deploy": deploy, **(after or {})},
                **({"on_failure": on_failure} if on_failure else {}),
            },
        }
        production = {
            "kind": "host",
            "root": str(self.root),
            "gates": gates or {},
            "hooks": hooks or {},
            **(environment or {}),
        }
        definition = {
            "pipeline": "shop",
            "environments": {"production": production},
            "stages": stages,
            **more,
        }
        # JSON is YAML too.
        text = json.dumps(definition, indent=2)
        (self.folder / "delivery.yaml").write_text(text)
        self.commit("publish")

    def commit(self, message: str) -> str:
        """Commit all that has changed; gives the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def run(self, execution: Execution | None = None) -> Execution:
        """Drive an execution, a new one by default, until it ends or only waits."""
        return self.drive(execution or self.start(), local=True)

    def in_child(self, execution: Execution, *, stay: bool = False) -> Child:
        """Drive an execution in a process of its own."""

        def drive() -> None:
            self.ledger = Ledger.open()
            self.drive(execution, local=True, stay=stay)

        return Child(drive)

    def audit(self, **more: Any) -> None:
        """See that all invariants hold, at the environment as well."""
        audit(self.ledger, {ENVIRONMENT: self.target}, **more)


def pipe(path: Path) -> Path:
    """A named pipe: whoever opens one end waits for the other."""
    os.mkfifo(path)
    return path
