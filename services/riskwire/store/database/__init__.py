"""The database of the store: opening it on SQLite or PostgreSQL, the version of its schema, migrations."""
