"""Replaying an archive as if its news were coming in."""
