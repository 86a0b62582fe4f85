"""The notify stage: reads alert records, and delivers them to the configured receivers.

Deliveries outlast the batch that started them, so this is an effect stage. `task.py` works on one partition;
`deliverer.py` holds what all partitions share.
"""

from __future__ import annotations

from collections.abc import Mapping

from riskwire.bus import Assignment
from riskwire.notify.deliverer import Deliverer
from riskwire.notify.task import NotifyTask
from riskwire.pipeline import NOTIFY


class NotifyStage(Deliverer):
    """Delivers the alerts of every assigned partition."""

    spec = NOTIFY

    def open(self, assignment: Assignment, state: Mapping[str, bytes]) -> NotifyTask:
        """Returns a task for a partition, which resumes the pending deliveries of the committed state."""
        return NotifyTask(self, assignment, state)
