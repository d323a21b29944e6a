"""From a CodePipeline declaration to our definition, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prefect_delivery.codepipeline.names import (
    CUSTOM,
    OWN,
    parameter,
    parameter_of,
    role_parameter,
    uses_of,
)
from prefect_delivery.codepipeline.references import namespaces_of, ours
from prefect_delivery.codepipeline.shell import our_commands
from prefect_delivery.codepipeline.start import our_triggers
from prefect_delivery.codepipeline.structure import action_uses
from prefect_delivery.codepipeline.values import typed
from prefect_delivery.codepipeline.windows import our_window
from prefect_delivery.definition.catalogue import ActionSpec, Catalogue
from prefect_delivery.definition.normal import default_namespace
from prefect_delivery.definition.schemas import violations

Data = dict[str, Any]
_WHENS = {"beforeEntry": "before_entry", "onSuccess": "on_success"}


@dataclass
class Conversion:
    """A declaration on its way into our definition.

    Attributes:
        missing: Actions and rules that the catalogue does not have.
    """

    pipeline: Data
    catalogue: Catalogue
    missing: set[str] = field(default_factory=set[str])

    def data(self) -> Data:
        """Our definition, without what only CodePipeline knows."""
        self._name_spaces()
        stages = {
            stage["name"]: self._stage(stage) for stage in self.pipeline["stages"]
        }
        first = self.pipeline["stages"][0]["name"]
        on = our_triggers(self.pipeline, list(stages[first]["actions"].values()))
        mode = self.pipeline.get("executionMode", "SUPERSEDED").lower()
        return {
            "pipeline": self.pipeline["name"],
            **({"mode": mode} if mode != "superseded" else {}),
            **({"on": on} if on else {}),
            **self._variables(),
            "stages": stages,
        }

    def _name_spaces(self) -> None:
        actions = [
            (stage["name"], action)
            for stage in self.pipeline["stages"]
            for action in stage["actions"]
        ]
        self.namespaces = namespaces_of(actions)
        self.renamed = {
            action["namespace"]: self.namespaces.get(
                (stage, action["name"]), default_namespace(action["name"])
            )
            for stage, action in actions
            if "namespace" in action
        }
        # Commands that name no input start in the first source, as ours need one.
        self.first = next(
            (
                artifact["name"]
                for _, action in actions
                for artifact in action.get("outputArtifacts", [])
            ),
            None,
        )

    def _variables(self) -> Data:
        found = {
            each["name"]: {
                ours_: each[theirs]
                for theirs, ours_ in (
                    ("defaultValue", "default"),
                    ("description", "description"),
                )
                if theirs in each
            }
            for each in self.pipeline.get("variables", [])
        }
        return {"variables": found} if found else {}

    def _stage(self, stage: Data) -> Data:
        found: Data = {
            "actions": {
                action["name"]: self._action(stage["name"], action)
                for action in stage["actions"]
            }
        }
        for theirs, name in _WHENS.items():
            for condition in stage.get(theirs, {}).get("conditions", []):
                result = condition.get("result", "FAIL").lower()
                found[name] = {"result": result, **self._rules(condition)}
        if failure := self._on_failure(stage.get("onFailure", {})):
            found["on_failure"] = failure
        return found

    def _on_failure(self, failure: Data) -> Data | None:
        conditions: list[Data] = failure.get("conditions", [])
        condition: Data = conditions[0] if conditions else {}
        result = str(condition.get("result", failure.get("result", ""))).lower()
        # To fail or to skip after a failure changes nothing.
        if result not in {"rollback", "retry"}:
            return None
        found = {"result": result, **(self._rules(condition) if condition else {})}
        mode = failure.get("retryConfiguration", {}).get("retryMode", "").lower()
        return {**found, "retry_mode": mode} if mode == "all_actions" else found

    def _rules(self, condition: Data) -> Data:
        return {
            "rules": {rule["name"]: self._rule(rule) for rule in condition["rules"]}
        }

    def _rule(self, rule: Data) -> Data:
        kind = rule["ruleTypeId"]
        uses = uses_of("Rule", "AWS", kind["provider"])
        found = self._used(uses, rule)
        if "timeoutInMinutes" in rule:
            found["timeout"] = rule["timeoutInMinutes"]
        return found

    def _action(self, stage: str, action: Data) -> Data:
        uses = action_uses(action)
        custom = self._custom(action) if uses.endswith(f"/{CUSTOM}") else None
        found = self._used(uses, action, custom)
        if outputs := self._outputs(action, found["uses"]):
            found["outputs"] = outputs
        if action.get("runOrder", 1) != 1:
            found["run_order"] = action["runOrder"]
        if namespace := self.namespaces.get((stage, action["name"])):
            found["namespace"] = namespace
        if "timeoutInMinutes" in action:
            found["timeout"] = action["timeoutInMinutes"]
        return found

    def _used(self, uses: str, action: Data, custom: Data | None = None) -> Data:
        """`uses`, `with` and `inputs` of an action or rule."""
        spec = self.catalogue.action(uses)
        configuration = custom or self._configuration(uses, action, spec)
        if spec and any(violations(configuration, spec.schema)):
            # Ours cannot do this; CodePipeline's own must, should somebody write it.
            uses, spec = uses.replace("/", OWN, 1), None
            configuration = self._configuration(uses, action, None)
        if spec is None:
            self.missing.add(uses)
        inputs = self._inputs(action, spec)
        return {
            "uses": uses,
            **({"with": configuration} if configuration else {}),
            **({"inputs": inputs} if inputs else {}),
        }

    def _configuration(self, uses: str, action: Data, spec: ActionSpec | None) -> Data:
        given = action.get("configuration", {})
        if spec and uses in {"build/commands", "rule/commands"}:
            return {
                key: value if key == "commands" else ours(value, self.renamed)
                for key, value in our_commands(action).items()
            }
        if spec and uses == "rule/deployment-window":
            return our_window(given)
        found: Data = {}
        for name, value in self._parameters(uses, action):
            schema = _schema(spec, name)
            if schema is not None and name not in found:
                value = ours(value, self.renamed)
                found[name] = typed(value, schema) if isinstance(value, str) else value
        stores = self.pipeline.get("artifactStores", {})
        store = stores.get(action.get("region"), {}).get("location")
        if store and spec and "bucket" in spec.schema.get("properties", {}):
            found.setdefault("bucket", store)
        return found

    def _parameters(self, uses: str, action: Data) -> list[tuple[str, Any]]:
        given = action.get("configuration", {})
        found: list[tuple[str, Any]] = [
            (parameter_of(uses, key), value) for key, value in given.items()
        ]
        found += [
            (parameter(key), action[key])
            for key in ("commands", "outputVariables")
            if key in action
        ]
        if variables := action.get("environmentVariables"):
            plain = {each["name"]: each["value"] for each in variables}
            secret = any(each.get("type") == "SECRETS_MANAGER" for each in variables)
            found.append(("environment_variables", variables if secret else plain))
        if "region" in action:
            found.append(("region", action["region"]))
        if "roleArn" in action:
            found.append((role_parameter(uses), action["roleArn"]))
        return found

    def _custom(self, action: Data) -> Data:
        kind = action["actionTypeId"]
        configuration = ours(action.get("configuration", {}), self.renamed)
        return {
            "category": kind["category"],
            "provider": kind["provider"],
            "version": kind["version"],
            **({"configuration": configuration} if configuration else {}),
        }

    def _inputs(self, action: Data, spec: ActionSpec | None) -> Any:
        names = [each["name"] for each in action.get("inputArtifacts", [])]
        if spec is None:
            return (
                names[0] if len(names) == 1 else {"artifacts": names} if names else {}
            )
        wanted = list(spec.inputs.items())
        if not names and wanted and wanted[0][1].required and self.first:
            names = [self.first]
        primary = action.get("configuration", {}).get("PrimarySource")
        if primary in names:
            names = [primary, *(name for name in names if name != primary)]
        found: dict[str, str | list[str]] = {}
        for name, each in wanted:
            if names and each.many:
                found[name], names = names, []
            elif names:
                found[name], *names = names
        return found

    def _outputs(self, action: Data, uses: str) -> dict[str, list[str]]:
        spec = self.catalogue.action(uses)
        if spec and spec.outputs == "none":
            return {}
        found = {
            each["name"]: each.get("files", [])
            for each in action.get("outputArtifacts", [])
        }
        if spec and spec.outputs == "one":
            return {name: [] for name in found}
        if spec:
            return {name: files or ["**"] for name, files in found.items()}
        return found


def _schema(spec: ActionSpec | None, name: str) -> Mapping[str, Any] | None:
    """What a parameter takes: text where the action is not known, None for no such."""
    if spec is None:
        return {"type": "string"}
    found: Mapping[str, Any] | None = spec.schema.get("properties", {}).get(name)
    return found
