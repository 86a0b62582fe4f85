"""The words that records and settings share. Settings name them without importing the records."""

from __future__ import annotations

from typing import Literal

EVENT_TYPES = (
    "bankruptcy",
    "default",
    "distress",
    "credit_downgrade",
    "broker_downgrade",
    "profit_warning",
    "results_bad",
    "writedown",
    "accounting",
    "crime",
    "investigation",
    "litigation",
    "penalty",
    "regulation",
    "sanctions",
    "recall",
    "accident",
    "cyber",
    "layoffs",
    "labour",
    "management_exit",
    "price_fall",
    "dilution",
    "deal_failure",
    "operations",
    "reputation",
    "delisting",
    "short_attack",
    "macro_stress",
    "unrest",
    "results_good",
    "guidance_up",
    "upgrade",
    "deal",
    "contract",
    "product",
    "capital_return",
    "financing",
    "price_rise",
    "appointment",
    "relief",
    "other",
)
"""The codes of the event types, in the order of the guide of the risk labels."""

AlertKind = Literal["event", "spike", "slide"]
Severity = Literal["warning", "high", "critical"]
