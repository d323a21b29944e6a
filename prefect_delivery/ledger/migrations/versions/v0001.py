"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table, and make the audit log append-only."""
    _create_tables()
    _create_indexes()
    _protect_audit()


def _create_tables() -> None:
    op.create_table(
        "pipelines",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "executions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("definition_digest", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text),
        sa.Column("variables", sa.JSON, nullable=False),
        sa.Column("revisions", sa.JSON, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("started_by", sa.Text, nullable=False),
        sa.Column("only", sa.JSON(none_as_null=True)),
        sa.Column("carried", sa.JSON(none_as_null=True)),
        sa.Column("flow_run", sa.Text),
        sa.Column("deployed", sa.Boolean, nullable=False),
        sa.Column("untrusted", sa.Boolean, nullable=False),
        sa.Column("fresh", sa.Boolean, nullable=False),
        sa.Column("start_key", sa.Text),
        sa.Column("stop_by", sa.Text),
        sa.Column("stop_reason", sa.Text),
        sa.Column("stop_abandon", sa.Boolean),
        sa.Column("stop_hold", sa.Boolean),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("expires", sa.DateTime(timezone=True)),
        sa.Column("left_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["pipeline", "definition_digest"], ["pipelines.name", "pipelines.digest"]
        ),
        sa.UniqueConstraint("pipeline", "number", name="one_execution_per_number"),
        sa.UniqueConstraint("pipeline", "start_key", name="one_execution_per_key"),
    )
    op.create_table(
        "stage_runs",
        sa.Column(
            "execution_id", sa.Text, sa.ForeignKey("executions.id"), primary_key=True
        ),
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started", sa.DateTime(timezone=True)),
        sa.Column("ended", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text),
        sa.Column("baseline", sa.JSON, nullable=False),
        sa.Column("overridden", sa.JSON, nullable=False),
        sa.Column("concurrency_group", sa.Text),
        sa.Column("turn", sa.Integer),
    )
    op.create_table(
        "action_runs",
        sa.Column("execution_id", sa.Text, primary_key=True),
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("action", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text),
        sa.Column("summary", sa.Text),
        sa.Column("link", sa.Text),
        sa.Column("artifacts", sa.JSON, nullable=False),
        sa.Column("variables", sa.JSON, nullable=False),
        sa.Column("reports", sa.JSON, nullable=False),
        sa.Column("retryable", sa.Boolean, nullable=False),
        sa.Column("due", sa.DateTime(timezone=True)),
        sa.Column("cache_key", sa.Text),
        sa.ForeignKeyConstraint(
            ["execution_id", "stage"], ["stage_runs.execution_id", "stage_runs.stage"]
        ),
    )
    op.create_table(
        "decisions",
        sa.Column("execution_id", sa.Text, primary_key=True),
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("action", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("approved", sa.Boolean, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id", "stage", "action", "attempt"],
            [
                "action_runs.execution_id",
                "action_runs.stage",
                "action_runs.action",
                "action_runs.attempt",
            ],
        ),
    )
    op.create_table(
        "votes",
        sa.Column("execution_id", sa.Text, primary_key=True),
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("action", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("voter", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("approved", sa.Boolean, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("voted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id", "stage", "action", "attempt"],
            [
                "action_runs.execution_id",
                "action_runs.stage",
                "action_runs.action",
                "action_runs.attempt",
            ],
        ),
    )
    op.create_table(
        "external_ids",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("noted", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "releases",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("execution_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("artifact_digest", sa.Text, nullable=False),
        sa.Column("artifact_size", sa.BigInteger, nullable=False),
        sa.Column("revisions", sa.JSON, nullable=False),
        sa.Column("definition_digest", sa.Text, nullable=False),
        sa.Column("variables", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "environments",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("configuration", sa.JSON, nullable=False),
        sa.Column("current", sa.Text, sa.ForeignKey("releases.digest")),
        sa.Column("locked", sa.Text),
        sa.Column("stopped", sa.Text),
        sa.Column("registered", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "transitions",
        sa.Column("pipeline", sa.Text, primary_key=True),
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("disabled_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("disabled", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("expires", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "waits",
        sa.Column(
            "execution_id", sa.Text, sa.ForeignKey("executions.id"), primary_key=True
        ),
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "quarantine",
        sa.Column(
            "environment", sa.Text, sa.ForeignKey("environments.name"), primary_key=True
        ),
        sa.Column(
            "release", sa.Text, sa.ForeignKey("releases.digest"), primary_key=True
        ),
        sa.Column("artifact", sa.Text),
        sa.Column("revisions", sa.JSON, nullable=False),
        sa.Column("put_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("automatic", sa.Boolean, nullable=False),
    )
    op.create_table(
        "rollouts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False, unique=True),
        sa.Column("lease", sa.Text, sa.ForeignKey("leases.name"), nullable=False),
        sa.Column(
            "environment", sa.Text, sa.ForeignKey("environments.name"), nullable=False
        ),
        sa.Column("release", sa.Text, sa.ForeignKey("releases.digest"), nullable=False),
        sa.Column("previous", sa.Text, sa.ForeignKey("releases.digest")),
        sa.Column("execution_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("opened", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "steps",
        sa.Column(
            "rollout_id", sa.Text, sa.ForeignKey("rollouts.id"), primary_key=True
        ),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("intended", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("ended", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "deployed",
        sa.Column("pipeline", sa.Text, primary_key=True),
        sa.Column("definition_digest", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("deployed_by", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["pipeline", "definition_digest"], ["pipelines.name", "pipelines.digest"]
        ),
    )
    op.create_table(
        "changes",
        sa.Column("pipeline", sa.Text, primary_key=True),
        sa.Column("change", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False, unique=True),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("execution_id", sa.Text, sa.ForeignKey("executions.id")),
        sa.Column("reason", sa.Text),
        sa.Column("noted", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "watched",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("ref", sa.Text, primary_key=True),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "inbox",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("connection", sa.Text, nullable=False),
        sa.Column("delivery", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.Text),
        sa.UniqueConstraint("connection", "delivery", name="one_message_per_delivery"),
        sa.UniqueConstraint("connection", "digest", name="one_message_per_body"),
    )
    op.create_table(
        "statuses",
        sa.Column(
            "execution_id", sa.Text, sa.ForeignKey("executions.id"), primary_key=True
        ),
        sa.Column("context", sa.Text, primary_key=True),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text),
    )
    op.create_table(
        "outbox",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("expires", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "remote_actions",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("call", sa.Text, nullable=False),
        sa.Column("ticket", sa.Text, unique=True),
        sa.Column("token", sa.Text, unique=True),
        sa.Column("kept", sa.JSON, nullable=False),
        sa.Column("beats", sa.Integer, nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled", sa.Text),
        sa.Column("outcome", sa.Text),
    )
    op.create_table(
        "remote_lines",
        sa.Column(
            "key", sa.Text, sa.ForeignKey("remote_actions.key"), primary_key=True
        ),
        sa.Column("beat", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("lines", sa.JSON, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
    )


def _create_indexes() -> None:
    op.create_index("executions_by_start", "executions", ["started"])
    op.create_index("open_executions", "executions", ["ended"])
    op.create_index("changes_of_a_line", "changes", ["pipeline", "line", "position"])
    op.create_index("messages_by_due", "inbox", ["due"])
    op.create_index("executions_by_flow_run", "executions", ["flow_run"])
    op.create_index("action_runs_by_cache_key", "action_runs", ["cache_key"])
    op.create_index("stages_of_a_group", "stage_runs", ["concurrency_group", "status"])
    op.create_index("rollouts_by_environment", "rollouts", ["environment", "position"])
    op.create_index(
        "one_open_rollout_per_environment",
        "rollouts",
        ["environment"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )


def _protect_audit() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_refuses_{verb.lower()} BEFORE {verb} ON audit"
                " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
            )
    else:
        op.execute(
            "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE"
            " ON audit FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
        )
