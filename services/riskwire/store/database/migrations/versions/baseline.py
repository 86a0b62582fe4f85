"""The baseline: all tables, on SQLite and PostgreSQL.

It follows `tables.py` until 0.2.0 is released. From then on it is frozen as `op.create_table` statements, and every
change of the schema is a new file with the next `SCHEMA_VERSION` as its revision.
"""

from alembic import op

from riskwire.store import tables

revision = str(tables.SCHEMA_VERSION)
down_revision = None


def upgrade() -> None:
    """Creates the tables; Alembic has created the one with the version."""
    tables.metadata.create_all(op.get_bind())
