"""Fetches feed documents over HTTP."""
