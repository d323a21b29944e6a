"""What is wrong with rules is said where the definition is read."""

import pytest

from prefect_delivery.definition import load
from prefect_delivery.errors import DefinitionError

SHOP = """
pipeline: shop
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: "."}}
  Build:
    actions:
      unit: {uses: test/commands, with: {commands: ["true"]}}
    before_entry:
      rules:
        hours:
          uses: rule/deployment-window
          with: {timezone: Europe/Berlin, allow: [{cron: "0 9 * * 1-5", duration: 480}]}
    on_success:
      rules:
        ask: {uses: rule/commands, with: {commands: ["true"]}}
"""


def test_a_rule_gets_the_source_as_an_action_does() -> None:
    condition = load(SHOP).stages["Build"].on_success

    assert condition is not None
    assert condition.rules["ask"].inputs == {"source": "app"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Europe/Berlin", "Europe/Berln", "no time zone 'Europe/Berln'"),
        ("0 9 * * 1-5", "0 25 * * 1-5", "cron '0 25 . . 1-5' is wrong"),
        ("duration: 480", "duration: 0", "'duration' must be at least 1"),
        ("rule/commands", "rule/comands", "unknown rule 'rule/comands'.*did you mean"),
        (
            "{uses: rule/commands",
            "{uses: rule/commands, inputs: apps",
            "artifact 'apps'",
        ),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        load(SHOP.replace(old, new))
