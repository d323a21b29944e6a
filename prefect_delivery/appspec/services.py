"""Reads the appspecs of ECS services and Lambda functions."""

from collections.abc import Iterable
from typing import Any

from prefect_delivery.appspec.models import (
    ECS_EVENTS,
    LAMBDA_EVENTS,
    Capacity,
    EcsAppspec,
    LambdaAppspec,
    Network,
)
from prefect_delivery.appspec.values import Section
from prefect_delivery.buildspec.values import Values
from prefect_delivery.definition.findings import Path, listed, meant, named

SECTIONS = ("version", "Resources", "Hooks")
ECS = "AWS::ECS::Service"
LAMBDA = "AWS::Lambda::Function"
_ONE = "an appspec has one resource"
_MOST_WEIGHT = 1000
_MOST_BASE = 100_000


def read_service(data: Any, values: Values) -> EcsAppspec | LambdaAppspec | None:
    """An appspec with `Resources`; None when its kind cannot be told."""
    top = Section(data, (), SECTIONS, values)
    resources = top.items("Resources")
    if len(resources) != 1:
        values.wrong(top.at("Resources"), f"{_ONE}, not {len(resources)}", key=True)
        return None
    path, named_resource = resources[0]
    resource = values.mapping(named_resource, path)
    if len(resource) != 1:
        values.wrong(path, f"{_ONE}, under its name")
        return None
    ((name, inner),) = resource.items()
    item = Section(inner, (*path, name), ("Type", "Properties"), values)
    kind = values.choice(item.needed("Type") or None, item.at("Type"), (ECS, LAMBDA))
    if kind == ECS:
        return _ecs(item, _hooks(top, ECS_EVENTS, values), values)
    if kind == LAMBDA:
        return _lambda(item, _hooks(top, LAMBDA_EVENTS, values), values)
    return None


def _ecs(item: Section, hooks: dict[str, str], values: Values) -> EcsAppspec:
    keys = ("TaskDefinition", "LoadBalancerInfo", "PlatformVersion")
    more = ("NetworkConfiguration", "CapacityProviderStrategy")
    place = item.at("Properties")
    section = Section(item.get("Properties"), place, (*keys, *more), values)
    task = section.needed("TaskDefinition")
    balancer = Section(
        section.get("LoadBalancerInfo"),
        section.at("LoadBalancerInfo"),
        ("ContainerName", "ContainerPort"),
        values,
    )
    balancer.needed("ContainerPort")
    return EcsAppspec(
        task_definition=task,
        container=balancer.needed("ContainerName"),
        port=balancer.number("ContainerPort", 1, 65535) or 0,
        platform_version=section.text("PlatformVersion"),
        network=_network(section, values),
        capacity=tuple(
            _capacity(entry, path, values)
            for path, entry in section.items("CapacityProviderStrategy")
        ),
        hooks=hooks,
        notes=tuple(values.notes),
    )


def _network(section: Section, values: Values) -> Network | None:
    name = "NetworkConfiguration"
    if name not in section:
        return None
    outer = Section(
        section.get(name), section.at(name), ("AwsvpcConfiguration",), values
    )
    inner = Section(
        outer.get("AwsvpcConfiguration"),
        outer.at("AwsvpcConfiguration"),
        ("Subnets", "SecurityGroups", "AssignPublicIp"),
        values,
    )
    for key in ("Subnets", "SecurityGroups"):
        if not inner.texts(key):
            values.wrong(inner.at(key), f"{named(key)} is needed here")
    public = inner.needed("AssignPublicIp") or None
    values.choice(public, inner.at("AssignPublicIp"), ("ENABLED", "DISABLED"))
    return Network(
        subnets=inner.texts("Subnets"),
        security_groups=inner.texts("SecurityGroups"),
        public_ip=public or "",
    )


def _capacity(data: Any, path: Path, values: Values) -> Capacity:
    item = Section(data, path, ("Base", "CapacityProvider", "Weight"), values)
    return Capacity(
        provider=item.needed("CapacityProvider"),
        base=item.number("Base", 0, _MOST_BASE) or 0,
        weight=item.number("Weight", 0, _MOST_WEIGHT) or 0,
    )


def _lambda(item: Section, hooks: dict[str, str], values: Values) -> LambdaAppspec:
    keys = ("Name", "Alias", "CurrentVersion", "TargetVersion")
    section = Section(item.get("Properties"), item.at("Properties"), keys, values)
    return LambdaAppspec(
        function=section.needed("Name"),
        alias=section.needed("Alias"),
        current=section.needed("CurrentVersion"),
        target=section.needed("TargetVersion"),
        hooks=hooks,
        notes=tuple(values.notes),
    )


def _hooks(top: Section, events: Iterable[str], values: Values) -> dict[str, str]:
    """Functions by event; each entry of the list names one event."""
    known = list(events)
    found: dict[str, str] = {}
    for path, item in top.items("Hooks"):
        for event, data in values.mapping(item, path).items():
            place = (*path, event)
            function = values.text(data, place)
            if event not in known:
                message = f"there is no event {named(event)}{meant(event, known)}"
                hint = f"the events are {listed(known, last='and')}"
                values.wrong(place, message, key=True, hint=hint)
            elif event in found:
                values.wrong(place, f"{named(event)} is there twice", key=True)
            elif not function:
                values.wrong(place, f"{named(event)} needs the name of a function")
            else:
                found[event] = function
    return found
