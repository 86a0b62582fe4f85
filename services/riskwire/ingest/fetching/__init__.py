"""Fetching feed documents over HTTP."""
