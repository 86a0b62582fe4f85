"""Runs of the alert stage on the signals of an archive, only on the targets that are counted."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from riskwire.alerting.calibration import ActivityLimits, LimitTable, RunCounts, SurpriseLimits
from riskwire.alerting.detectors.adverse import is_adverse
from riskwire.alerting.events import EventRules
from riskwire.backtest.alert_run import run_alerting
from riskwire.backtest.results import MIN_ARTICLES
from riskwire.entities.watchlist import Watchlist
from riskwire.records import PARTY_TARGET, Mark, Signal
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
        followed = [record for record in records if isinstance(record, Mark) or record.target in targets]
        adverse = Counter(
            record.target
            for record in followed
            if isinstance(record, Signal) and is_adverse(record, settings.negative_from)
        )
        counted = {target: adverse[target] for target in targets}
        self.active = _most_active(counted, sum(counted.values()) / 3)
        """The most active targets, which have a third of the adverse stories."""
        inactive = {target: count for target, count in counted.items() if target not in self.active}
        self.quiet = _most_active(inactive, sum(counted.values()) / 3)
        """The next most active ones, which have the second third. Those that are left seldom have enough adverse
        stories in a day, whatever the threshold, and decide nothing."""
        self.adverse = statistics.median([counted[target] for target in self.active] or [0])
        self.adverse_quiet = statistics.median([counted[target] for target in self.quiet] or [0])
        """The adverse stories of a typical one of each."""
        self._records = [
            record for record in followed if isinstance(record, Mark) or adverse[record.target] >= settings.min_stories
        ]

    def __call__(self, limits: ActivityLimits | SurpriseLimits) -> tuple[RunCounts, RunCounts]:
        """Returns the notifications of spikes and slides with these thresholds, on quiet and on active targets."""
        run = run_alerting(self._records, self._settings, self._rules, LimitTable.fixed(limits))
        counts = Counter(
            (alert.target in self.active, alert.kind, alert.tier)
            for alert in run.alerts
            if alert.status != "resolved" and (alert.target in self.active or alert.target in self.quiet)
        )

        def of(group: bool) -> RunCounts:
            pages, slides = counts[group, "spike", "page"], counts[group, "slide", "notice"]
            return RunCounts(counts[group, "spike", "notice"], pages, slides)

        return of(False), of(True)


def _most_active(adverse: Mapping[str, int], missing: float) -> set[str]:
    """Returns the targets with the most adverse stories, as many as have `missing` stories; at least one if any is."""
    active: set[str] = set()
    for target in sorted(adverse, key=lambda target: (-adverse[target], target)):
        if missing <= 0 and active:
            break
        active.add(target)
        missing -= adverse[target]
    return active


def counted_targets(records: Iterable[Signal | Mark], watchlist: Watchlist) -> set[str]:
    """Returns the targets that are counted: those of a watchlist, otherwise the parties with enough articles."""
    if watchlist.entities:
        return {entry.target for entry in watchlist.entities}
    articles = {
        (record.target, record.article)
        for record in records
        if isinstance(record, Signal) and record.target.startswith(PARTY_TARGET)
    }
    counts = Counter(target for target, _ in articles)
    return {target for target, count in counts.items() if count >= MIN_ARTICLES}
