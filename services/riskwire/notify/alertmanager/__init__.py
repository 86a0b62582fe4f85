"""Alertmanager: keeps the alerts there as they are here."""

from riskwire.notify.alertmanager.silence_list import SilenceList
from riskwire.notify.alertmanager.upkeep import AlertmanagerUpkeep

__all__ = ["AlertmanagerUpkeep", "SilenceList"]
