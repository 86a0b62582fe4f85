"""Entities: the watchlist, names and identifiers of companies."""
