"""How much an article is about each party that it names."""

from riskwire.inference.relevance.party_relevance import relevance_by_entity
from riskwire.inference.relevance.report_titles import reports_no_event

__all__ = ["relevance_by_entity", "reports_no_event"]
