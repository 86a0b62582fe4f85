"""Tables that ship with riskwire; `python -m riskwire.inference.tables.build` makes them."""
