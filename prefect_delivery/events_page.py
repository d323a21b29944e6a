"""The page on events, generated from what they are."""

from typing import Any

from prefect_delivery.definition.events import EVENTS, PREFIX
from prefect_delivery.events import Payload

HEAD = """\
# Events

<!-- generated: python -m prefect_delivery.registry -->

Prefect has an event of each change of state, in the order in which the ledger has recorded them. Use them in Prefect's automations, in its event feed, and by [notifications](notifications.md) in a definition, there without `{prefix}`.

An event arrives at least once, and has the same id each time. None is sent where no Prefect API is configured, or by a run with `--local`.

| event | what has happened |
|---|---|
"""
RESOURCES = """
## Resources

| of | `prefect.resource.id` |
|---|---|
| pipeline | `{prefix}execution.<id>` |
| stage | `{prefix}execution.<id>.stage.<stage>` |
| action, approval | `{prefix}execution.<id>.action.<stage>.<action>` |
| rollout | `{prefix}rollout.<id>` |

Labels, to match in an automation: `{prefix}pipeline`, `{prefix}number`, `{prefix}stage`, `{prefix}action`, `{prefix}environment`. Related resources, by role: `flow-run`, `deployment`, `execution`, `environment`.

An automation for the failures of one pipeline:

```json
{{
  "type": "event",
  "posture": "Reactive",
  "expect": ["{prefix}pipeline.failed"],
  "match": {{"{prefix}pipeline": "shop"}},
  "threshold": 1
}}
```

## Payload

| key | what it is |
|---|---|
"""


def events_page() -> str:
    """The text of docs/events.md."""
    events = [f"| `{PREFIX}{name}` | {what} |\n" for name, what in EVENTS.items()]
    fields: dict[str, Any] = dict(Payload.model_fields)
    keys = [f"| `{name}` | {each.description} |\n" for name, each in fields.items()]
    head, resources = HEAD.format(prefix=PREFIX), RESOURCES.format(prefix=PREFIX)
    return "".join([head, *events, resources, *keys])
