"""How CodePipeline's names become ours, by one rule, and back where we know the name.

The tasks in `tasks/` name their parameters by `parameter`, and their files by `provider`,
so that a task which is written later needs no line here.
"""

import re

from prefect_delivery.codepipeline.action_types import ACTIONS, RULES, ActionType

# One word in the product's name, though its capitals say otherwise.
_ONE_WORD = (
    "AppConfig|BlazeMeter|CloudBees|CodeBuild|CodeCommit|CodeDeploy|CodePipeline"
    "|CloudFormation|CloudWatch|CodeStar|GitHub|GitLab|OAuth|OpsWorks|TeamCity|XebiaLabs"
)
_WORD = re.compile(rf"{_ONE_WORD}|[A-Z]+s?(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
CUSTOM = "custom-action"
"""The provider of all actions that people's own job workers carry out."""

OWN = "/aws-"
"""Marks what ours cannot stand in for, such as `rule/aws-deployment-window`."""

_RENAMED = {
    ("Source", "CodeStarSourceConnection"): "source/connection",
    ("Compute", "Commands"): "build/commands",
}
_TRANSLATED = {
    "approval/manual": {"CustomData": "message", "ExternalEntityLink": "link"},
}
"""Keys of actions that are ours and older than their counterparts."""


def parameter(key: str) -> str:
    """The parameter of a task for a configuration key of CodePipeline.

    Example:
        `KMSEncryptionKeyARN` becomes `kms_encryption_key_arn`.
    """
    return "_".join(_words(key)) or "_"


def provider(name: str) -> str:
    """Our name of a provider, such as `codedeploy-to-ecs` for `CodeDeployToECS`."""
    return "-".join(_words(name)) or "-"


def uses_of(category: str, owner: str, name: str) -> str:
    """What stands after `uses:` for an action type or a rule type."""
    if owner == "Custom":
        return f"{'source' if category == 'Source' else 'invoke'}/{CUSTOM}"
    renamed = _RENAMED.get((category, name))
    return renamed or f"{category.lower()}/{provider(name)}"


def type_of(uses: str) -> ActionType | None:
    """The type of action or rule that a `uses:` stands for; None for others."""
    return _BY_USES.get(uses.replace(OWN, "/", 1))


def parameter_of(uses: str, key: str) -> str:
    """The parameter for a key, also for actions that are older than the rule."""
    return _TRANSLATED.get(uses, {}).get(key) or parameter(key)


def key_of(uses: str, name: str) -> str:
    """The configuration key that a parameter stands for; guessed when unknown."""
    known = type_of(uses)
    for key in known.keys if known else ():
        if parameter_of(uses, key) == name:
            return key
    return "".join(word.capitalize() for word in name.split("_"))


def role_parameter(uses: str) -> str:
    """The parameter for an action's own role.

    CloudFormation takes another role by the key `RoleArn`, which has the plain name.
    """
    known = type_of(uses)
    taken = known is not None and "RoleArn" in known.keys
    return "action_role_arn" if taken else "role_arn"


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


_BY_USES = {
    uses_of(each.category, each.owner, each.provider): each
    for each in (*ACTIONS, *RULES)
}
