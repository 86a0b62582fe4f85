"""Stores of tests: a PostgreSQL server, rows read past the store, and all answers of the API."""
