"""Parties: whom a name means at a time, who belongs to whom, and which names are no party at all."""

from riskwire.inference.linking.parties.no_party import is_no_party
from riskwire.inference.linking.parties.party_table import PartyTable, shipped_parties

__all__ = ["PartyTable", "is_no_party", "shipped_parties"]
