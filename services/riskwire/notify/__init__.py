"""Notifications: alerts are written to the log and delivered to webhooks, Apprise services and Alertmanager."""

from riskwire.notify.chart import wants_charts
from riskwire.notify.receivers import receiver_warnings
from riskwire.notify.stage import NotifyStage

__all__ = ["NotifyStage", "receiver_warnings", "wants_charts"]
