"""The embedded bus: one SQLite file, one process of stages."""
