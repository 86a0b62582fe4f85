"""Tables that ship with riskwire; `python -m riskwire.inference.linking.tables.build` makes them."""
