"""The Commands action, as our `build/commands` and `rule/commands` carry it out."""

import re
from typing import Any

from prefect_delivery.codepipeline.references import for_shell

Data = dict[str, Any]

_LEAVE = 'printf \'%s=%s\\n\' {0} "${{{0}-}}" >> "$DELIVERY_OUTPUT"'
_LEFT = re.compile(re.escape(_LEAVE.format("NAME").partition("NAME")[0]) + r"(\w+) ")


def our_commands(action: Data) -> Data:
    """The `with:` of an action that runs commands.

    Variables come in by the environment and leave by `$DELIVERY_OUTPUT`.
    """
    given = action.get("environmentVariables", [])
    plain = {each["name"]: each["value"] for each in given if not _is_secret(each)}
    secrets = {
        each["name"]: _block(each["value"]) for each in given if _is_secret(each)
    }
    commands, lifted = for_shell(action.get("commands", []), [*plain, *secrets])
    commands += [
        _LEAVE.format(name)
        for name in action.get("outputVariables", [])
        if re.fullmatch(r"[A-Za-z_]\w*", name)
    ]
    found: Data = {"commands": commands}
    if plain or lifted:
        found["environment"] = {**plain, **lifted}
    if secrets:
        found["secrets"] = secrets
    return found


def their_commands(configuration: Data) -> Data:
    """The members of an action in CodePipeline that say the same, as far as they can."""
    found: Data = {}
    commands = configuration.get("commands", [])
    left = [_LEFT.match(command) for command in commands]
    names = [match[1] for match in left if match]
    if plain := [
        command for command, match in zip(commands, left, strict=True) if not match
    ]:
        found["commands"] = plain
    if names:
        found["outputVariables"] = names
    variables = [
        {"name": name, "value": value}
        for name, value in configuration.get("environment", {}).items()
    ]
    variables += [
        {"name": name, "value": value, "type": "SECRETS_MANAGER"}
        for name, value in configuration.get("secrets", {}).items()
    ]
    if variables:
        found["environmentVariables"] = variables
    return found


def _is_secret(variable: Data) -> bool:
    return variable.get("type") == "SECRETS_MANAGER"


def _block(reference: str) -> str:
    """The name of the Prefect Secret block that takes the place of an AWS secret."""
    return re.sub(r"[^a-z0-9]+", "-", reference.lower()).strip("-") or "secret"
