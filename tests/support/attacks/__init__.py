"""Attacks on the web port."""
