"""Our actions of AWS take what CodePipeline's actions take."""

import pytest

from prefect_delivery.codepipeline.action_types import ACTIONS, RULES, ActionType
from prefect_delivery.codepipeline.names import parameter, uses_of
from prefect_delivery.definition.catalogue import Catalogue

CATALOGUE = Catalogue.load()
# They are older than the rule for names, and translated one by one.
OLDER = {
    "approval/manual",
    "build/commands",
    "rule/commands",
    "rule/deployment-window",
}
# The worker reaches a cluster from its own network; an import says so.
NOT_HERE = {"deploy/eks": {"subnets", "security_group_ids"}}
KINDS = {
    uses: kind
    for kind in (*ACTIONS, *RULES)
    if (uses := uses_of(kind.category, kind.owner, kind.provider)) not in OLDER
    and uses in CATALOGUE.actions
}


@pytest.mark.parametrize(("uses", "kind"), KINDS.items(), ids=KINDS)
def test_every_key_is_a_parameter(uses: str, kind: ActionType) -> None:
    schema = CATALOGUE.actions[uses].schema

    keys = {parameter(key) for key in kind.keys} - NOT_HERE.get(uses, set())
    assert keys <= schema["properties"].keys()
    assert set(schema.get("required", [])) <= {parameter(k) for k in kind.required}


@pytest.mark.parametrize(("uses", "kind"), KINDS.items(), ids=KINDS)
def test_as_many_artifacts_fit(uses: str, kind: ActionType) -> None:
    spec = CATALOGUE.actions[uses]
    required = [each for each in spec.inputs.values() if each.required]

    assert len(required) <= kind.inputs[1]
    assert bool(spec.inputs) == (kind.inputs[1] > 0)
    if kind.inputs[1] > 1:
        assert any(each.many for each in spec.inputs.values())
    assert (spec.outputs != "none") == (kind.outputs[1] > 0)
