"""Applies the decisions of people: whether an alert is sent now, sent later, or withdrawn from its receivers."""

from riskwire.notify.obedience.obedience import DueRecord, Obedience, Ruling, Withheld
from riskwire.notify.obedience.withdrawal import Withdrawal

__all__ = ["DueRecord", "Obedience", "Ruling", "Withdrawal", "Withheld"]
