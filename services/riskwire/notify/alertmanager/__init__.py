"""Alertmanager: keeps the alerts there as they are here."""

from riskwire.notify.alertmanager.upkeep import AlertmanagerUpkeep

__all__ = ["AlertmanagerUpkeep"]
