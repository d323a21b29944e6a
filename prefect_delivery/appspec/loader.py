"""From text to an appspec, or all that is wrong with it.

What CodeDeploy passes over is passed over and noted: unknown keys and events of one's
own. What it refuses is refused, with the place.
"""

import re
from typing import Any

from ruamel.yaml.events import Event

from prefect_delivery.appspec.hosts import read_hosts
from prefect_delivery.appspec.models import Appspec
from prefect_delivery.appspec.services import read_service
from prefect_delivery.buildspec.values import Values
from prefect_delivery.definition.document import Place
from prefect_delivery.definition.findings import named
from prefect_delivery.definition.reader import Reader

_NOTHING = {"", "~", "null", "Null", "NULL"}
_VERSIONS = {"0", "0.0"}
_TABS = re.compile(r"[ \t]*\t[ \t]*(?=\r?$)", re.MULTILINE)


class _Reader(Reader):
    """Takes every scalar as it is written: a mode 0644 is not the number 420."""

    def _resolved(self, value: str, place: Place) -> Any:
        return None if value in _NOTHING else value

    def _check_tag(self, event: Event) -> None:
        """CodeDeploy passes over tags."""


def load_appspec(text: str, file: str) -> Appspec:
    """Read an appspec for hosts, ECS or Lambda, YAML or JSON.

    Args:
        file: Name of the file, for messages.

    Raises:
        DefinitionError: With everything that is wrong, each at its place.
    """
    # CodeDeploy's YAML takes a tab at the end of a line for space, ruamel's does not.
    document = _Reader(_TABS.sub("", text), file).document()
    values = Values()
    appspec = _appspec(document.root.data, values)
    if values.findings or appspec is None:
        raise document.error(values.findings)
    return appspec


def _appspec(root: Any, values: Values) -> Appspec | None:
    if not isinstance(root, dict):
        values.wrong((), "an appspec must be a mapping of names to values")
        return None
    keys = {key.lower(): key for key in root}
    version = root.get(keys.get("version", ""))
    if version not in _VERSIONS:
        said = f", not {named(version)}" if isinstance(version, str) else ""
        place = (keys.get("version", "version"),)
        values.wrong(place, f"'version' must be 0.0{said}", hint="version: 0.0")
    if isinstance(root.get(keys.get("resources", "")), list) and "os" not in keys:
        return read_service(root, values)
    return read_hosts(root, values)
