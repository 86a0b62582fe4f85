"""Runs of the alert stage on the signals of an archive, only on the targets that are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from riskwire.alerting.calibration import LimitTable, RunCounts, SurpriseLimits
from riskwire.alerting.detectors.adverse import is_adverse
from riskwire.alerting.events import EventRules
from riskwire.backtest.alert_run import run_alerting
from riskwire.backtest.results import MIN_ARTICLES
from riskwire.backtest.stories import ENTITY
from riskwire.entities.watchlist import Watchlist
from riskwire.records import Mark, Signal
from riskwire.settings import AlertingSettings


class ArchiveRuns:
    """Runs alerting with given thresholds, and counts the notifications.

    Targets do not depend on each other: the marks alone say how much news there was. So signals of other targets are
    left out, and those of targets with too few adverse stories to fire.
    """

    def __init__(
        self,
        records: Iterable[Signal | Mark],
        settings: AlertingSettings,
        targets: Collection[str],
        rules: EventRules | None = None,
    ) -> None:
        """Reads the records once.

        Args:
            records: of one partition, in the order in which the infer stage published them.
            targets: those that are counted.
        """
        self._settings = settings
        self._rules = rules
        kept = [record for record in records if isinstance(record, Mark) or record.target in targets]
        adverse = Counter(
            record.target
            for record in kept
            if isinstance(record, Signal) and is_adverse(record, settings.negative_from)
        )
        self._records = [
            record for record in kept if isinstance(record, Mark) or adverse[record.target] >= settings.min_stories
        ]

    def __call__(self, limits: SurpriseLimits) -> RunCounts:
        """Returns the notifications of spikes and slides with these thresholds."""
        run = run_alerting(self._records, self._settings, self._rules, LimitTable.fixed(limits))
        counts = Counter((alert.kind, alert.tier) for alert in run.alerts if alert.status != "resolved")
        return RunCounts(counts["spike", "notice"], counts["spike", "page"], counts["slide", "notice"])


def counted_targets(records: Iterable[Signal | Mark], watchlist: Watchlist) -> set[str]:
    """Returns the targets that are counted: those of a watchlist, otherwise the parties with enough articles."""
    if watchlist.entities:
        return {entry.target for entry in watchlist.entities}
    articles = {
        (record.target, record.article)
        for record in records
        if isinstance(record, Signal) and record.target.startswith(ENTITY)
    }
    counts = Counter(target for target, _ in articles)
    return {target for target, count in counts.items() if count >= MIN_ARTICLES}
