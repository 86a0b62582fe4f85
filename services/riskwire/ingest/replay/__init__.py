"""Publishes the news of an archive instead of feeds."""
