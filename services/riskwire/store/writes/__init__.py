"""Writes of the sink."""
