"""Stages: the batch loop, refused records, dead letters, state."""
