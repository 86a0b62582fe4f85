"""Training data, training, evaluation and export of model bundles. Importing this package does not need torch."""

from __future__ import annotations

__all__: list[str] = []
