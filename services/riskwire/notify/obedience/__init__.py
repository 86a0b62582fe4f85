"""Obeys what people decided: whether an alert may be sent, what is sent later, and what is not sent after all."""

from riskwire.notify.obedience.obedience import Due, Obedience, Ruling, Withheld
from riskwire.notify.obedience.withdrawal import Withdrawal

__all__ = ["Due", "Obedience", "Ruling", "Withdrawal", "Withheld"]
