"""Runs the migrations on the connection that `upgrade.py` passes. Alembic executes this file."""

from alembic import context

from riskwire.store import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    version_table=tables.schema.name,
)
with context.begin_transaction():
    context.run_migrations()
