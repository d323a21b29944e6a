"""`deliver server`, told by a repository's hook of each push."""

import json
from collections.abc import Sequence

import httpx

from benchmarks.lab import BIN, Lab, free_port, until
from benchmarks.pushing import Pushing
from benchmarks.site import Site

KEY = "not a secret, only long enough"
HOOK = """
body='{{"repository": "{bare}", "ref": "'$ref'", "revision": "'$new'", "before": "'$old'"}}'
now=$(date +%s)
signature=$(printf '%s.%s' "$now" "$body" \\
  | openssl dgst -sha256 -hmac '{key}' -r | cut -d' ' -f1)
curl -fsS '{url}/delivery/hooks/bench' -H 'Content-Type: application/json' \\
  -H "X-Delivery-Timestamp: $now" -H "X-Delivery-Signature: sha256=$signature" \\
  -d "$body"
"""


class Webhook:
    """A pipeline that is started by pushes.

    Attributes:
        daemons: The process that takes the webhooks.
    """

    def __init__(self, lab: Lab, site: Site) -> None:
        folder = lab.folder / "webhook"
        marker = folder / "marker"
        self._pushing = Pushing(folder / "repository", marker)
        bare = str(self._pushing.bare)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        self._pushing.hook(HOOK.format(bare=bare, key=KEY, url=url).strip())
        connection = {
            "forge": "signed",
            "repositories": [bare],
            "secrets": ["env:BENCH_KEY"],
        }
        config = folder / "server.yaml"
        config.write_text(json.dumps({"connections": {"bench": connection}}))
        command = ("server", "--port", str(port), "--config", str(config))
        environment = {**site.environment, "BENCH_KEY": KEY}
        self.daemons: Sequence[int] = [
            lab.start(BIN / "deliver", *command, folder=folder, environment=environment)
        ]
        definition = folder / "push.delivery.yaml"
        mark = f"date +%s.%N >'{marker}.new' && mv '{marker}.new' '{marker}'"
        definition.write_text(json.dumps(_definition(bare, mark)))
        site.deploy(definition)
        health = f"{url}/delivery/health"
        until(lambda: _answers(health), "deliver server", every=0.2)

    def push(self) -> float:
        """Push a commit; seconds from the hook to the first command."""
        return self._pushing.push()


def _definition(repository: str, command: str) -> dict[str, object]:
    source = {"uses": "source/git", "with": {"url": repository, "branch": "main"}}
    mark = {"uses": "build/commands", "with": {"commands": [command]}}
    return {
        "pipeline": "push",
        "mode": "parallel",
        "on": {"push": {"branches": ["main"]}},
        "stages": {
            "Source": {"actions": {"change": source}},
            "Build": {"actions": {"mark": mark}},
        },
    }


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False
