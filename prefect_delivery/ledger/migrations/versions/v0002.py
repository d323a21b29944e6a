"""Jobs of custom actions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table of jobs."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("access", sa.JSON, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("nonce", sa.Text),
        sa.Column("worker", sa.Text),
        sa.Column("result", sa.JSON),
        sa.Column("offered", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "jobs_by_type", "jobs", ["category", "provider", "version", "status"]
    )
