"""Posts to one Alertmanager what it should have of one partition: at once what changed, and everything regularly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from riskwire import metrics
from riskwire.notify.alertmanager.active import ActiveAlert
from riskwire.notify.receivers import AlertmanagerReceiver
from riskwire.notify.retry import AttemptError
from riskwire.settings import NotifySettings

log = structlog.get_logger(__name__)

_BATCH = 200
"""The most alerts of one request."""


class AlertmanagerFeed:
    """The connection of one partition to one Alertmanager. It never gives up: a later post replaces an earlier one."""

    def __init__(
        self,
        receiver: AlertmanagerReceiver,
        settings: NotifySettings,
        on_arrived: Callable[[list[ActiveAlert]], None],
        wall: Callable[[], datetime],
    ) -> None:
        """Prepares posts; `run` makes them.

        Args:
            on_arrived: called with what Alertmanager has got.
            wall: returns the time of day.
        """
        self._receiver = receiver
        self._settings = settings
        self._on_arrived = on_arrived
        self._wall = wall
        self._wanted: Sequence[ActiveAlert] = ()
        self._changed = asyncio.Event()

    def want(self, alerts: Sequence[ActiveAlert]) -> None:
        """Says what Alertmanager should have from now on, in the order of the posts; it must have been committed."""
        if list(alerts) != list(self._wanted):
            self._wanted = alerts
            self._changed.set()

    async def run(self) -> None:
        """Posts until cancelled."""
        loop, everything_at, failures = asyncio.get_running_loop(), 0.0, 0
        while True:
            self._changed.clear()
            everything = loop.time() >= everything_at
            posted = [alert for alert in self._wanted if everything or not alert.arrived]
            try:
                await self._post(posted)
            except AttemptError as error:
                failures += 1
                everything_at = 0.0  # it may have been restarted, and then it has nothing
                self._count_failure(error, failures)
                wait_s = min(self._settings.backoff_s * 2 ** min(failures - 1, 30), self._settings.resend_s)
                await asyncio.sleep(wait_s)  # a change does not end this wait: it would mean a post for each alert
                continue
            failures = 0
            if everything:
                everything_at = loop.time() + self._settings.resend_s
            if posted:
                self._on_arrived(posted)
            try:
                async with asyncio.timeout_at(everything_at):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _post(self, alerts: Sequence[ActiveAlert]) -> None:
        """Posts alerts in batches.

        Alertmanager answers 400 if it refuses an alert, and takes the others. So an error that another attempt would
        not avoid is logged, and counts as an arrival.

        Raises:
            AttemptError: another attempt may help.
        """
        for start in range(0, len(alerts), _BATCH):
            now = self._wall()
            batch = [alert.posted(now, self._settings.hold_s) for alert in alerts[start : start + _BATCH]]
            try:
                await self._receiver.post_alerts(batch)
            except AttemptError as error:
                if not error.final:
                    raise
                self._count_failure(error, 1)

    def _count_failure(self, error: AttemptError, failures: int) -> None:
        metrics.DELIVERIES.labels(channel=self._receiver.channel, outcome="failed_try").inc()
        if failures == 1:
            log.warning("alertmanager did not take the alerts, trying again", error=str(error))
