"""Entities: the watchlist, names and identifiers."""
