"""Reads of the store, one module per subject."""
