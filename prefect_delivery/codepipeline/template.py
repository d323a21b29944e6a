"""Pipelines in CloudFormation templates, those that the CDK writes among them."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from prefect_delivery.codepipeline.declaration import Declaration, read_declaration
from prefect_delivery.codepipeline.intrinsics import Nothing, Resolver
from prefect_delivery.codepipeline.service_model import shapes
from prefect_delivery.definition.document import Document, Node
from prefect_delivery.definition.findings import Finding, named

TYPE = "AWS::CodePipeline::Pipeline"
_STACK_ONLY = ("DisableInboundStageTransitions", "RestartExecutionOnUpdate")
_UNKNOWN = re.compile(r"\$\{([^{}]*)\}")


def pipelines_in(
    document: Document, parameters: Mapping[str, str] | None = None
) -> dict[str, Declaration]:
    """The pipelines of a template, by their logical ids.

    Args:
        parameters: Values for the template's parameters, instead of their defaults.

    Raises:
        DefinitionError: The template or one of its pipelines is wrong.
    """
    root = document.root
    resources = root.children.get("Resources")
    if resources is None or not isinstance(resources.data, dict):
        message = "'Resources' must be a mapping of resources by logical id"
        raise document.error([Finding(path=("Resources",), message=message)])
    _check_resources(document, resources)
    resolver = Resolver(root.data, parameters or {})
    found = {}
    for logical_id, resource in resources.children.items():
        if str(logical_id).startswith("Fn::") or resource.data["Type"] != TYPE:
            continue
        condition = resource.data.get("Condition")
        if isinstance(condition, str) and resolver.holds(condition) is False:
            continue
        name = str(logical_id)
        found[name] = _declaration(document, name, resource, resolver)
    return found


def _check_resources(document: Document, resources: Node) -> None:
    wrong = [
        Finding(
            path=("Resources", name),
            message=f"resource {named(name)} must be a mapping with a 'Type'",
            key=True,
        )
        for name, resource in resources.data.items()
        if not str(name).startswith("Fn::")
        and not (isinstance(resource, dict) and isinstance(resource.get("Type"), str))
    ]
    if wrong:
        raise document.error(wrong)


def _declaration(
    document: Document, name: str, resource: Node, resolver: Resolver
) -> Declaration:
    resolver.notes = []
    given = resource.children.get("Properties") or Node({}, resource.place)
    properties = resolver.resolve(given)
    if isinstance(properties, Nothing) or not isinstance(properties.data, dict):
        message = f"'Properties' of {named(name)} must be a mapping"
        path = ("Resources", name, "Properties")
        raise document.error([Finding(path=path, message=message)])
    pipeline, tags = _pipeline(properties, name)
    root = Node({"pipeline": pipeline.data}, resource.place)
    root.children["pipeline"], root.keys["pipeline"] = pipeline, resource.place
    if tags is not None:
        root.data["tags"], root.children["tags"] = tags.data, tags
        root.keys["tags"] = tags.place
    read = read_declaration(replace(document, root=root))
    stack_only = [
        Finding(path=(), message=f"{named(key)} belongs to the stack and is left out")
        for key in _STACK_ONLY
        if key in properties.data
    ]
    notes = [Finding(path=(), message=note.message) for note in resolver.notes]
    return replace(read, warnings=[*read.warnings, *notes, *stack_only])


def _pipeline(properties: Node, logical_id: str) -> tuple[Node, Node | None]:
    """The declaration that a resource's properties are, and its tags."""
    spelled = Node({}, properties.place)
    for key, child in properties.children.items():
        if key not in {*_STACK_ONLY, "Tags"}:
            _add(spelled, str(key), child, properties)
    if "Name" not in spelled.children:
        # CloudFormation makes a name of the stack's and this.
        _add(spelled, "Name", Node(logical_id, properties.place), properties)
    stores = spelled.children.get("ArtifactStores")
    if stores is not None and isinstance(stores.data, list):
        _add(spelled, "ArtifactStores", _stores(stores), spelled)
    tags = properties.children.get("Tags")
    return (
        _lowered(spelled, "PipelineDeclaration"),
        _lowered(tags, "TagList") if tags else None,
    )


def _stores(stores: Node) -> Node:
    """`[{Region, ArtifactStore}]` as stores by region."""
    found = Node({}, stores.place)
    for store in stores.children.values():
        region = store.children.get("Region")
        if region is not None and "ArtifactStore" in store.children:
            _add(found, str(region.data), store.children["ArtifactStore"], store)
    return found


def _add(node: Node, key: str, child: Node, beside: Node) -> None:
    node.data[key], node.children[key] = child.data, child
    node.keys[key] = beside.keys.get(key, child.place)


def _lowered(node: Node, shape: str) -> Node:
    """Properties with the keys and types that CodePipeline's own shape has."""
    spec = shapes()[shape]
    match spec["type"]:
        case "structure" if isinstance(node.data, dict):
            found = Node({}, node.place)
            for name, child in node.children.items():
                key = str(name)[:1].lower() + str(name)[1:]
                inner = spec["members"].get(key)
                lowered = _lowered(child, inner["shape"]) if inner else child
                _add(found, key, lowered, node)
                found.keys[key] = node.keys[str(name)]
            return found
        case "map" if isinstance(node.data, dict):
            found = Node({}, node.place)
            for name, child in node.children.items():
                _add(found, str(name), _lowered(child, spec["value"]["shape"]), node)
            return found
        case "list" if isinstance(node.data, list):
            found = Node([], node.place)
            for index, child in node.children.items():
                found.children[index] = _lowered(child, spec["member"]["shape"])
                found.data.append(found.children[index].data)
            return found
        case kind:
            return Node(_scalar(node.data, kind, spec), node.place)


def _scalar(data: Any, kind: str, spec: Mapping[str, Any]) -> Any:
    """CloudFormation turns numbers and truth values into text, and back."""
    if kind == "string" and isinstance(data, bool):
        return str(data).lower()
    if kind == "string" and isinstance(data, int | float):
        return str(data)
    if kind == "string" and isinstance(data, str) and "pattern" in spec:
        masked = "arn:" in spec["pattern"] or spec["pattern"] == ".*"
        return data if masked else _UNKNOWN.sub(_name, data)
    if kind == "integer" and isinstance(data, str) and data.strip().isdecimal():
        return int(data)
    return data


def _name(match: re.Match[str]) -> str:
    """What is not known yet, within a name, in letters that a name may hold."""
    return re.sub(r"[^A-Za-z0-9]+", "-", match[1]).strip("-") or "unknown"
