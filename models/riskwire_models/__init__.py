"""Recipes, training, export and evaluation of riskwire bundles. Importing this package needs no torch."""

from __future__ import annotations

__all__: list[str] = []
