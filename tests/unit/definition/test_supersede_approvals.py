"""Approvals are superseded in pipelines that supersede, and in no other."""

import pytest

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.definition.structure import check_structure


@pytest.mark.parametrize("mode", ["superseded", "queued", "parallel"])
def test_supersede_approvals_needs_the_mode_superseded(mode: str) -> None:
    stage = {
        "actions": {"ok": {"uses": "approval/manual"}},
        "supersede_approvals": True,
    }
    made = Pipeline.model_validate(
        {"pipeline": "shop", "mode": mode, "stages": {"Approve": stage}}
    )

    found = [f.path for f in check_structure(made) if "supersede" in f.message]

    where = ("stages", "Approve", "supersede_approvals")
    assert found == ([] if mode == "superseded" else [where])
