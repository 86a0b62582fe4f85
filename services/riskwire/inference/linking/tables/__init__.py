"""The tables that ship with riskwire; `python -m riskwire.inference.linking.tables.build` builds them."""
