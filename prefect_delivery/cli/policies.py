"""The IAM policies that a definition needs, by the identities that act."""

from collections.abc import Iterator
from typing import Any

from prefect_delivery.actions import PERMISSIONS
from prefect_delivery.blocks.aws_environment import AwsEnvironment
from prefect_delivery.blocks.environment import find_environment
from prefect_delivery.codepipeline.names import role_parameter
from prefect_delivery.definition.configuration import uses_of
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.permissions import Permission, policy_of
from prefect_delivery.registry import task_of

WORKER = "worker"
"""Whoever carries the pipeline out, without a block or a role."""


def policies(definition: Pipeline) -> dict[str, dict[str, Any]]:
    """Policies by identity: `worker`, `block NAME`, or a role's ARN.

    Raises:
        Refused: An action is not installed here, or an environment is not to be found.
    """
    needed: dict[str, list[Permission]] = {}
    calls: dict[str, set[str]] = {}
    for with_, role, actions in _actions(definition):
        for identity in _identities(with_.get("credentials"), role, needed):
            calls.setdefault(identity, set()).update(actions)
    for name in _environments(definition):
        target = find_environment(name, definition.environments)
        if isinstance(target, AwsEnvironment):
            for identity in _identities(target.credentials, target.role_arn, needed):
                needed.setdefault(identity, []).extend(target.permissions())
    for identity, all_of_them in calls.items():
        # What an action names may be known at the time of the run only.
        needed.setdefault(identity, []).append(Permission(actions=tuple(all_of_them)))
    return {identity: policy_of(found) for identity, found in sorted(needed.items())}


def _actions(
    definition: Pipeline,
) -> Iterator[tuple[dict[str, Any], str | None, tuple[str, ...]]]:
    for use in uses_of(definition):
        with_ = use.what.with_
        if actions := getattr(task_of(use.what.uses), PERMISSIONS, ()):
            yield with_, with_.get(role_parameter(use.what.uses)), actions


def _environments(definition: Pipeline) -> set[str]:
    named = {
        str(use.what.with_["environment"])
        for use in uses_of(definition)
        if use.what.uses == "deploy/environment"
    }
    return named | set(definition.environments)


def _identities(
    credentials: str | None, role: str | None, needed: dict[str, list[Permission]]
) -> Iterator[str]:
    """Who makes the calls; whoever takes on a role for it must be allowed to."""
    base = f"block {credentials}" if credentials else WORKER
    if role is None:
        yield base
        return
    assume = Permission(actions=("sts:AssumeRole",), resources=(role,))
    if assume not in needed.setdefault(base, []):
        needed[base].append(assume)
    yield role
