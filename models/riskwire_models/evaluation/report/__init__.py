"""The HTML report of ``riskwire model evaluate``: what was measured, its curves, plots and tables."""
