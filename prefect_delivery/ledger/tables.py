"""The tables of the ledger, as the newest migration leaves them."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)


class Moment(TypeDecorator[datetime]):
    """An instant: aware in Python, UTC in the database (SQLite keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, dialect: Dialect
    ) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(
        self, value: datetime | None, dialect: Dialect
    ) -> datetime | None:
        if value is None:
            return None
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text from anywhere: what a database cannot store (NUL, lone surrogates) shows."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


def storable(words: str) -> str:
    """Text that every database stores and gives back unchanged."""
    return words.encode(errors="backslashreplace").decode().replace("\0", r"\x00")


metadata = MetaData()

pipelines = Table(
    "pipelines",
    metadata,
    Column("name", Words, primary_key=True),
    Column("digest", Words, primary_key=True),
    Column("snapshot", Words, nullable=False),
    Column("first_seen", Moment, nullable=False),
)

executions = Table(
    "executions",
    metadata,
    Column("id", Words, primary_key=True),
    Column("pipeline", Words, nullable=False),
    Column("number", Integer, nullable=False),
    Column("definition_digest", Words, nullable=False),
    Column("status", Words, nullable=False),
    Column("started", Moment, nullable=False),
    Column("ended", Moment),
    Column("reason", Words),
    Column("variables", JSON, nullable=False),
    Column("revisions", JSON, nullable=False),
    Column("trigger", Words, nullable=False),
    Column("started_by", Words, nullable=False),
    Column("only", JSON(none_as_null=True)),
    Column("carried", JSON(none_as_null=True)),
    Column("flow_run", Words),
    Column("deployed", Boolean, nullable=False, default=False),
    Column("untrusted", Boolean, nullable=False, default=False),
    Column("fresh", Boolean, nullable=False, default=False),
    Column("start_key", Words),
    Column("stop_by", Words),
    Column("stop_reason", Words),
    Column("stop_abandon", Boolean),
    Column("stop_hold", Boolean),
    Column("attempt", Integer, nullable=False),
    Column("holder", Words),
    Column("expires", Moment),
    Column("left_at", Moment),
    ForeignKeyConstraint(
        ["pipeline", "definition_digest"], ["pipelines.name", "pipelines.digest"]
    ),
    UniqueConstraint("pipeline", "number", name="one_execution_per_number"),
    UniqueConstraint("pipeline", "start_key", name="one_execution_per_key"),
    Index("executions_by_start", "started"),
    Index("open_executions", "ended"),
    Index("executions_by_flow_run", "flow_run"),
)

stage_runs = Table(
    "stage_runs",
    metadata,
    Column("execution_id", Words, ForeignKey(executions.c.id), primary_key=True),
    Column("stage", Words, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("status", Words, nullable=False),
    Column("started", Moment),
    Column("ended", Moment),
    Column("reason", Words),
    Column("baseline", JSON, nullable=False),
    Column("overridden", JSON, nullable=False),
    Column("concurrency_group", Words),
    Column("turn", Integer),
    Index("stages_of_a_group", "concurrency_group", "status"),
)

action_runs = Table(
    "action_runs",
    metadata,
    Column("execution_id", Words, primary_key=True),
    Column("stage", Words, primary_key=True),
    Column("action", Words, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("status", Words, nullable=False),
    Column("started", Moment, nullable=False),
    Column("ended", Moment),
    Column("error", Words),
    Column("summary", Words),
    Column("link", Words),
    Column("artifacts", JSON, nullable=False),
    Column("variables", JSON, nullable=False),
    Column("reports", JSON, nullable=False),
    Column("retryable", Boolean, nullable=False),
    Column("due", Moment),
    Column("cache_key", Words),
    ForeignKeyConstraint(
        ["execution_id", "stage"], ["stage_runs.execution_id", "stage_runs.stage"]
    ),
    Index("action_runs_by_cache_key", "cache_key"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("execution_id", Words, primary_key=True),
    Column("stage", Words, primary_key=True),
    Column("action", Words, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("decided_by", Words, nullable=False),
    Column("approved", Boolean, nullable=False),
    Column("comment", Words, nullable=False),
    Column("decided", Moment, nullable=False),
    ForeignKeyConstraint(
        ["execution_id", "stage", "action", "attempt"],
        [
            "action_runs.execution_id",
            "action_runs.stage",
            "action_runs.action",
            "action_runs.attempt",
        ],
    ),
)

votes = Table(
    "votes",
    metadata,
    Column("execution_id", Words, primary_key=True),
    Column("stage", Words, primary_key=True),
    Column("action", Words, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("voter", Words, primary_key=True),
    Column("person", Words, nullable=False),
    Column("approved", Boolean, nullable=False),
    Column("comment", Words, nullable=False),
    Column("voted", Moment, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("fingerprint", Words, nullable=False),
    ForeignKeyConstraint(
        ["execution_id", "stage", "action", "attempt"],
        [
            "action_runs.execution_id",
            "action_runs.stage",
            "action_runs.action",
            "action_runs.attempt",
        ],
    ),
)

external_ids = Table(
    "external_ids",
    metadata,
    Column("key", Words, primary_key=True),
    Column("external_id", Words, nullable=False),
    Column("noted", Moment, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("digest", Words, primary_key=True),
    Column("pipeline", Words, nullable=False),
    Column("execution_id", Words, nullable=False),
    Column("number", Integer, nullable=False),
    Column("artifact_digest", Words, nullable=False),
    Column("artifact_size", BigInteger, nullable=False),
    Column("revisions", JSON, nullable=False),
    Column("definition_digest", Words, nullable=False),
    Column("variables", JSON, nullable=False),
    Column("created", Moment, nullable=False),
)

environments = Table(
    "environments",
    metadata,
    Column("name", Words, primary_key=True),
    Column("kind", Words, nullable=False),
    Column("configuration", JSON, nullable=False),
    Column("current", Words, ForeignKey(releases.c.digest)),
    Column("locked", Words),
    Column("stopped", Words),
    Column("registered", Moment, nullable=False),
)

waits = Table(
    "waits",
    metadata,
    Column("execution_id", Words, ForeignKey(executions.c.id), primary_key=True),
    Column("stage", Words, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("since", Moment, nullable=False),
    Column("until", Moment),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("environment", Words, ForeignKey(environments.c.name), primary_key=True),
    Column("release", Words, ForeignKey(releases.c.digest), primary_key=True),
    Column("artifact", Words),
    Column("revisions", JSON, nullable=False),
    Column("put_by", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("since", Moment, nullable=False),
    Column("automatic", Boolean, nullable=False),
)

transitions = Table(
    "transitions",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("disabled_by", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("disabled", Moment, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Words, primary_key=True),
    Column("token", Integer, nullable=False),
    Column("holder", Words),
    Column("expires", Moment),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", Words, primary_key=True),
    Column("position", Integer, nullable=False, unique=True),
    Column("lease", Words, ForeignKey(leases.c.name), nullable=False),
    Column("environment", Words, ForeignKey(environments.c.name), nullable=False),
    Column("release", Words, ForeignKey(releases.c.digest), nullable=False),
    Column("previous", Words, ForeignKey(releases.c.digest)),
    Column("execution_id", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("status", Words, nullable=False),
    Column("reason", Words),
    Column("opened", Moment, nullable=False),
    Column("closed", Moment),
    Index("rollouts_by_environment", "environment", "position"),
    Index(
        "one_open_rollout_per_environment",
        "environment",
        unique=True,
        sqlite_where=text("status = 'open'"),
        postgresql_where=text("status = 'open'"),
    ),
)

steps = Table(
    "steps",
    metadata,
    Column("rollout_id", Words, ForeignKey(rollouts.c.id), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("verb", Words, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("intended", Moment, nullable=False),
    Column("outcome", Words),
    Column("ended", Moment),
)

deployed = Table(
    "deployed",
    metadata,
    Column("pipeline", Words, primary_key=True),
    Column("definition_digest", Words, nullable=False),
    Column("deployment", Words, nullable=False),
    Column("origin", Words, nullable=False),
    Column("file", Words, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("deployed_by", Words, nullable=False),
    Column("since", Moment, nullable=False),
    ForeignKeyConstraint(
        ["pipeline", "definition_digest"], ["pipelines.name", "pipelines.digest"]
    ),
)

changes = Table(
    "changes",
    metadata,
    Column("pipeline", Words, primary_key=True),
    Column("change", Words, primary_key=True),
    Column("position", Integer, nullable=False, unique=True),
    Column("line", Words, nullable=False),
    Column("revision", Words, nullable=False),
    Column("execution_id", Words, ForeignKey(executions.c.id)),
    Column("reason", Words),
    Column("noted", Moment, nullable=False),
    Index("changes_of_a_line", "pipeline", "line", "position"),
)

watched = Table(
    "watched",
    metadata,
    Column("source", Words, primary_key=True),
    Column("ref", Words, primary_key=True),
    Column("revision", Words, nullable=False),
    Column("seen", Moment, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("connection", Words, nullable=False),
    Column("delivery", Words, nullable=False),
    Column("digest", Words, nullable=False),
    Column("changes", Words, nullable=False),
    Column("received", Moment, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due", Moment),
    Column("outcome", Words),
    UniqueConstraint("connection", "delivery", name="one_message_per_delivery"),
    UniqueConstraint("connection", "digest", name="one_message_per_body"),
    Index("messages_by_due", "due"),
)

statuses = Table(
    "statuses",
    metadata,
    Column("execution_id", Words, ForeignKey(executions.c.id), primary_key=True),
    Column("context", Words, primary_key=True),
    Column("said", Words, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due", Moment),
    Column("error", Words),
)

outbox = Table(
    "outbox",
    metadata,
    Column("destination", Words, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due", Moment),
    Column("error", Words),
    Column("since", Moment),
    Column("token", Integer, nullable=False),
    Column("holder", Words),
    Column("expires", Moment),
)

remote_actions = Table(
    "remote_actions",
    metadata,
    Column("key", Words, primary_key=True),
    Column("call", Words, nullable=False),
    Column("ticket", Words, unique=True),
    Column("token", Words, unique=True),
    Column("kept", JSON, nullable=False),
    Column("beats", Integer, nullable=False),
    Column("seen", Moment, nullable=False),
    Column("cancelled", Words),
    Column("outcome", Words),
)

remote_lines = Table(
    "remote_lines",
    metadata,
    Column("key", Words, ForeignKey(remote_actions.c.key), primary_key=True),
    Column("beat", Integer, primary_key=True, autoincrement=False),
    Column("lines", JSON, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Words, primary_key=True),
    Column("category", Words, nullable=False),
    Column("provider", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("data", JSON, nullable=False),
    Column("access", JSON, nullable=False),
    Column("status", Words, nullable=False),
    Column("nonce", Words),
    Column("worker", Words),
    Column("result", JSON(none_as_null=True)),
    Column("offered", Moment, nullable=False),
    Column("seen", Moment, nullable=False),
    Index("jobs_by_type", "category", "provider", "version", "status"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("actor", Words, nullable=False),
    Column("verb", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("detail", Words, nullable=False),
    Column("previous", Words, nullable=False),
    Column("hash", Words, nullable=False, unique=True),
)
