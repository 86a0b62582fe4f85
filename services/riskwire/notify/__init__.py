"""Alerts to people and machines: the log, signed webhooks, Apprise services."""

from riskwire.notify.stage import Notify, run_notify

__all__ = ["Notify", "run_notify"]
