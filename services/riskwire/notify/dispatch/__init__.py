"""When deliveries start, in which order, and which deliveries form one message."""

from riskwire.notify.dispatch.dispatcher import Dispatcher
from riskwire.notify.dispatch.progress import Progress
from riskwire.notify.dispatch.quiet_hours import QuietHours
from riskwire.notify.dispatch.receiver_queue import OnDone, ReceiverQueue

__all__ = ["Dispatcher", "OnDone", "Progress", "QuietHours", "ReceiverQueue"]
