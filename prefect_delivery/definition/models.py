"""What a pipeline definition says, as data.

The models check shapes and names; `rules` checks what one part says about another.
After `load`, a definition is *normal*: every stage names its `needs`, every action its
`inputs` by parameter, its `outputs` by artifact name and its `namespace`.
Sources of the rules: the CodePipeline structure reference (names, one condition of each
kind, run order) and the user guide's quotas.
"""

import hashlib
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WrapSerializer,
)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9.@_-]{1,100}$")]
ArtifactName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
Namespace = Annotated[str, Field(pattern=r"^[A-Za-z0-9@_-]{1,100}$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z0-9@_-]{1,128}$")]
Uses = Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]
Block = Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]{1,200}$")]
Minutes = Annotated[float, Field(gt=0, le=86_400)]
Pattern = Annotated[str, Field(min_length=1, max_length=255)]
SOURCE = "source"
"""The input whose files `cache` chooses among."""


class Model(BaseModel):
    """Base of all definition models: closed, immutable, read by alias or name."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Retry(Model):
    """How often an action is tried before it counts as failed."""

    attempts: Annotated[int, Field(ge=1, le=10)] = Field(
        default=2, description="Attempts in all, the first one included."
    )
    delay: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=5, description="Seconds before the second attempt."
    )
    backoff: Annotated[float, Field(ge=1, le=10)] = Field(
        default=2, description="Factor by which the delay grows each time."
    )


class CacheInputs(Model):
    """When an action need not run again."""

    inputs: list[Pattern] = Field(
        min_length=1,
        max_length=50,
        description="Patterns of the files of its `source` that the action sees.",
    )


class Action(Model):
    """One thing a stage does: a source, build, test, deploy, approval or invoke."""

    uses: Uses = Field(description="Which action, as category/provider.")
    with_: dict[str, Any] = Field(
        default_factory=dict, alias="with", description="The action's configuration."
    )
    inputs: str | dict[str, ArtifactName | list[ArtifactName]] = Field(
        default_factory=dict,
        description="Artifacts it reads: one name, or names by parameter.",
    )
    outputs: dict[ArtifactName, list[Pattern]] = Field(
        default_factory=dict,
        description="Artifacts it leaves, each with the patterns of its files.",
    )
    run_order: Annotated[int, Field(ge=1, le=999)] = Field(
        default=1, description="Actions of one run order run in parallel."
    )
    namespace: Namespace | None = Field(
        default=None,
        description="Prefix of its variables; the action's name by default.",
    )
    timeout: Minutes | None = Field(
        default=None, description="Minutes until the action is stopped and fails."
    )
    retry: Retry | None = Field(
        default=None, description="Tries again when the action fails."
    )
    runs_on: Name | None = Field(
        default=None,
        description="Work pool whose workers carry the action out; by default it runs"
        " where the pipeline does.",
    )
    cache: bool | CacheInputs = Field(
        default=False,
        description="Whether it is not run again while nothing has changed that it"
        " depends on, and on which files of its source it depends.",
    )


class Rule(Model):
    """One test that a condition makes."""

    uses: Uses = Field(description="Which rule, as rule/provider.")
    with_: dict[str, Any] = Field(
        default_factory=dict, alias="with", description="The rule's configuration."
    )
    inputs: str | dict[str, ArtifactName | list[ArtifactName]] = Field(
        default_factory=dict,
        description="Artifacts it reads: one name, or names by parameter.",
    )
    timeout: Minutes | None = Field(
        default=None,
        description="Minutes until a rule that has no answer counts as failed.",
    )


class Condition(Model):
    """Rules that hold before a stage is entered or after it succeeded."""

    result: Literal["fail", "rollback", "retry", "skip"] = Field(
        default="fail", description="What happens when a rule does not hold."
    )
    rules: dict[Name, Rule] = Field(
        min_length=1, max_length=5, description="Rules, all of which must hold."
    )


class OnFailure(Model):
    """What happens when a stage fails."""

    result: Literal["rollback", "retry"] = Field(description="What is done then.")
    retry_mode: Literal["failed_actions", "all_actions"] = Field(
        default="failed_actions", description="Which actions a retry runs again."
    )
    rules: dict[Name, Rule] = Field(
        default_factory=dict,
        max_length=5,
        description="Rules that must hold for the result.",
    )


class Notification(Model):
    """Whom to tell of what happens."""

    to: Block = Field(
        description="A saved notification block, such as slack-webhook/team."
    )
    on: list[Pattern] = Field(
        min_length=1,
        max_length=50,
        description="Events, such as pipeline.failed, as glob patterns.",
    )


class Stage(Model):
    """Actions that succeed or fail together."""

    needs: list[Name] | None = Field(
        default=None,
        description="Stages that must succeed first; by default the one before.",
    )
    actions: dict[Name, Action] = Field(
        min_length=1, max_length=50, description="Actions by name."
    )
    runs_on: Name | None = Field(
        default=None,
        description="Work pool for those of its actions that name none and that may"
        " run elsewhere.",
    )
    concurrency_group: Name | None = Field(
        default=None,
        description="Of all stages of this group, in whichever pipelines, one at a time"
        " holds an execution.",
    )
    supersede_approvals: bool = Field(
        default=False,
        description="Whether a newer execution takes the place of one that waits for"
        " an approval inside.",
    )
    before_entry: Condition | None = Field(
        default=None, description="Must hold before the stage is entered."
    )
    on_success: Condition | None = Field(
        default=None, description="Must hold for the stage to count as succeeded."
    )
    on_failure: OnFailure | None = Field(
        default=None, description="What happens when the stage fails."
    )
    notifications: list[Notification] = Field(
        default_factory=list,
        max_length=20,
        description="Whom to tell of what happens in the stage.",
    )


class Filter(Model):
    """Which branches, tags and paths count, as glob patterns; excludes win."""

    branches: list[Pattern] = Field(default_factory=list, max_length=8)
    branches_ignore: list[Pattern] = Field(default_factory=list, max_length=8)
    tags: list[Pattern] = Field(default_factory=list, max_length=8)
    tags_ignore: list[Pattern] = Field(default_factory=list, max_length=8)
    paths: list[Pattern] = Field(default_factory=list, max_length=8)
    paths_ignore: list[Pattern] = Field(default_factory=list, max_length=8)


class PullRequestFilter(Filter):
    """Which pull requests count; branches are those they go into."""

    events: list[Literal["opened", "updated", "closed"]] = Field(
        default=["opened", "updated"]
    )
    forks: bool = Field(
        default=False,
        description="Whether those from forks count; in containers only, without secrets.",
    )
    own_definition: bool = Field(
        default=False,
        description="Whether one from the same repository runs the definition that it"
        " brings, instead of the one that is deployed.",
    )


class Schedule(Model):
    """A time at which an execution starts."""

    cron: str = Field(description="Five-field cron expression.")
    timezone: str = Field(default="UTC", description="IANA name of the time zone.")

    @property
    def slug(self) -> str:
        """A name for it, for Prefect, that stays as long as the schedule does."""
        words = {"*": "x", "/": "by", ",": "and"}
        cron = "".join(words.get(char, char) for char in "-".join(self.cron.split()))
        slug = re.sub(r"[^a-z0-9]+", "-", f"{cron}-{self.timezone}".lower())
        return slug.strip("-")


def _listed(model: type[Model]) -> BeforeValidator:
    """Lets one mapping stand for a list of one."""

    def listed(value: object) -> object:
        return value if isinstance(value, list) else [model.model_validate(value)]

    # mypy takes `model` for a variable, not for a type.
    several: Any = Annotated[list[model], Field(min_length=1, max_length=3)]  # type: ignore[valid-type]
    return BeforeValidator(listed, json_schema_input_type=model | several)


def _one_alone(filters: list[Filter], handler: SerializerFunctionWrapHandler) -> Any:
    said = handler(filters)
    return said[0] if len(filters) == 1 else said


Filters = Annotated[
    list[Filter],
    Field(min_length=1, max_length=3),
    _listed(Filter),
    WrapSerializer(_one_alone),
]
PullRequestFilters = Annotated[
    list[PullRequestFilter],
    Field(min_length=1, max_length=3),
    _listed(PullRequestFilter),
    WrapSerializer(_one_alone),
]


class Triggers(Model):
    """What starts an execution, besides a person."""

    push: Filters | None = Field(
        default=None,
        description="A push to the source: a filter, or a list of which one is enough.",
    )
    pull_request: PullRequestFilters | None = Field(
        default=None,
        description="A pull request on the source: a filter, or a list of which one is"
        " enough.",
    )
    schedule: list[Schedule] = Field(
        default_factory=list, max_length=50, description="Times."
    )
    pipeline: list[Name] = Field(
        default_factory=list, description="Pipelines whose success starts this one."
    )
    event: list[str] = Field(
        default_factory=list, description="Names of Prefect events."
    )


class Variable(Model):
    """A value that a start may set; one without a default must be set."""

    default: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    description: Annotated[str, Field(max_length=200)] = ""


class CodePipelinePart(Model):
    """What a CodePipeline declaration says that the rest of a definition cannot."""

    declaration: dict[str, Any] = Field(
        default_factory=dict,
        description="Merged over what `deliver export` writes; null leaves a key out.",
    )
    beside: dict[str, Any] = Field(
        default_factory=dict,
        description="What stands beside the declaration: metadata, tags.",
    )
    bare: bool = Field(
        default=False, description="The declaration stands alone in its file."
    )
    spelled_out: list[str] = Field(
        default_factory=list,
        description="Optional keys that actions write though they say nothing.",
    )
    only_there: list[Uses] = Field(
        default_factory=list,
        description="Actions and rules that may be missing here; a run needs them.",
    )


class Pipeline(Model):
    """A pipeline definition."""

    pipeline: Name = Field(description="The pipeline's name.")
    description: str = Field(default="", description="What it delivers.")
    mode: Literal["superseded", "queued", "parallel"] = Field(
        default="superseded",
        description="What happens to executions that wait for a stage.",
    )
    on: Triggers = Field(
        default_factory=Triggers, description="What starts an execution."
    )
    variables: dict[VariableName, Variable] = Field(
        default_factory=dict,
        max_length=50,
        description="Values that a start may set, as #{variables.NAME}.",
    )
    environments: dict[Name, dict[str, Any]] = Field(
        default_factory=dict,
        description="Environments for local use; a saved block of the name wins.",
    )
    notifications: list[Notification] = Field(
        default_factory=list,
        max_length=20,
        description="Whom to tell of what happens in all stages.",
    )
    stages: dict[Name, Stage] = Field(
        min_length=1, max_length=50, description="Stages in order."
    )
    codepipeline: CodePipelinePart | None = Field(
        default=None, description="What only AWS CodePipeline knows, for the way back."
    )

    @property
    def digest(self) -> str:
        """SHA-256 of the definition; two definitions that say the same share it."""
        text = self.model_dump_json(by_alias=True, exclude_defaults=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def pools(self) -> list[str]:
        """The work pools on which actions run, each once."""
        found = {
            action.runs_on: None
            for stage in self.stages.values()
            for action in stage.actions.values()
            if action.runs_on
        }
        return [*found]

    def snapshot(self) -> dict[str, Any]:
        """The definition as plain JSON data, to be read back by `model_validate`."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
