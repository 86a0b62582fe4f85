"""Notifications: alerts are written to the log and delivered to signed webhooks and Apprise services."""

from riskwire.notify.stage import NotifyStage

__all__ = ["NotifyStage"]
