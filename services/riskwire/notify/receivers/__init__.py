"""Receivers of notifications: webhooks, Apprise services and Alertmanager. A receiver makes single attempts."""

from riskwire.notify.receivers.alertmanager import AlertmanagerReceiver
from riskwire.notify.receivers.configured import configured_receivers, has_alertmanager, receiver_warnings
from riskwire.notify.receivers.receiver import Place, Receiver

__all__ = ["AlertmanagerReceiver", "Place", "Receiver", "configured_receivers", "has_alertmanager", "receiver_warnings"]
