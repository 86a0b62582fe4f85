"""Runs the commands of ``riskwire model`` as ``python -m riskwire_models``."""

from __future__ import annotations

from riskwire_models.cli import main

main()
