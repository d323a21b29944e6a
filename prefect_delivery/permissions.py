"""What an identity must be allowed to do in AWS, as a policy of IAM."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Data = dict[str, Any]
_ROLE = re.compile(r"arn:(?P<partition>[a-z-]+):iam::(?P<account>\d{12}):role/.+")


@dataclass(frozen=True, kw_only=True)
class Permission:
    """Calls that are made, and of what.

    Attributes:
        actions: As IAM names them, such as `ecs:UpdateService`.
        resources: ARNs; `*` where a call takes no resource.
        condition: As a statement has it.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    condition: Data = field(default_factory=dict[str, Any])


def arn(service: str, resource: str, *, role: str | None, region: str | None) -> str:
    """ARN of a resource, with `*` for the account and region that are not known.

    Args:
        resource: What stands behind the account, or an ARN, which stays as it is.
        role: ARN of the role that is taken on, which tells the account.
    """
    if resource.startswith("arn:"):
        return resource
    found = _ROLE.fullmatch(role or "")
    partition = found["partition"] if found else "aws"
    return ":".join(
        [
            "arn",
            partition,
            service,
            region or "*",
            found["account"] if found else "*",
            resource,
        ]
    )


def actions_of(permissions: Iterable[Permission]) -> tuple[str, ...]:
    """All calls of some permissions, each once."""
    return tuple(sorted({action for each in permissions for action in each.actions}))


def policy_of(permissions: Iterable[Permission]) -> Data:
    """The smallest policy that allows all of it; each statement once."""
    statements: list[Data] = []
    for each in permissions:
        statement = {
            "Effect": "Allow",
            "Action": sorted(each.actions),
            "Resource": sorted(each.resources),
            **({"Condition": each.condition} if each.condition else {}),
        }
        if statement not in statements:
            statements.append(statement)
    return {"Version": "2012-10-17", "Statement": statements}
