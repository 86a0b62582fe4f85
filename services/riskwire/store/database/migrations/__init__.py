"""Migrations of the schema, run by Alembic. The newest revision is `SCHEMA_VERSION`.

An empty store gets its tables from `tables.py` at once, as the last migration leaves them (a test compares both). Until
0.2.0 is released there is one migration, the baseline, which creates the tables of `tables.py`.
"""
