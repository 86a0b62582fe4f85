"""Parses the bytes of a feed document into clean, identified items."""
