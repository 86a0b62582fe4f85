"""Notifications: alerts are written to the log and delivered to webhooks, Apprise services and Alertmanager."""

from riskwire.notify.alertmanager import SilenceList
from riskwire.notify.chart import wants_charts
from riskwire.notify.receivers import has_alertmanager, receiver_warnings
from riskwire.notify.stage import NotifyStage

__all__ = ["NotifyStage", "SilenceList", "has_alertmanager", "receiver_warnings", "wants_charts"]
