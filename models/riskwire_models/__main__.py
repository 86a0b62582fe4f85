"""``python -m riskwire_models``: the same commands as ``riskwire model``."""

from __future__ import annotations

from riskwire_models.cli import main

main()
