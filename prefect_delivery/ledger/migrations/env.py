"""Run by Alembic: migrates over the connection, and in the transaction, of `schema`."""

from alembic import context

from prefect_delivery.ledger.schema import VERSION_TABLE

# The transaction is not ours to commit: a migration that is killed half-way leaves no
# trace, on SQLite too.
context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
