"""One back-test: signals, alerts, and which listed events they report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from riskwire.alerting.events import EventRules
from riskwire.backtest.alert_run import AlertRun, run_alerting
from riskwire.backtest.event_list import UNTIL, ListedEvent
from riskwire.backtest.event_names import PartyNames
from riskwire.backtest.figures import match_figures
from riskwire.backtest.matching import Matcher, matcher_for, notification_of
from riskwire.backtest.missed import MissedReasons
from riskwire.backtest.results import MIN_ARTICLES, BacktestResults, RivalResult, notification_rates
from riskwire.backtest.rivals import Ewma, KeywordList, Rival, StaticCounter, ThreeSigma, at_number
from riskwire.backtest.signal_log import SignalLog
from riskwire.backtest.stories import TargetReport, entity_reports
from riskwire.entities.watchlist import Watchlist
from riskwire.settings import AlertingSettings


@dataclass(frozen=True, slots=True)
class Backtest:
    """An archive that was read, ready to be alerted on with any settings and rules.

    Attributes:
        reports: what its articles say of entities.
        families: the family of each event type.
        matcher: None without a list of events.
    """

    log: SignalLog
    reports: Sequence[TargetReport]
    families: Mapping[str, str]
    events: Sequence[ListedEvent]
    matcher: Matcher | None

    @classmethod
    def of(
        cls, log: SignalLog, watchlist: Watchlist, events: Sequence[ListedEvent], families: Mapping[str, str]
    ) -> Backtest:
        """Reads the signals once, for everything but the alerts themselves.

        Args:
            events: those that are not in the time of the archive are left out.
        """
        summary = log.summary
        events = [event for event in events if event.begins + UNTIL >= summary.first and event.begins <= summary.last]
        reports = entity_reports(log.records())
        matcher = matcher_for(events, PartyNames(watchlist), families, reports, log.summary.lines) if events else None
        return cls(log, reports, families, events, matcher)

    def alerts(self, settings: AlertingSettings, rules: EventRules | None = None) -> AlertRun:
        """Returns what the alert stage makes of the signals."""
        return run_alerting(self.log.records(), settings, rules)

    def results(self, run: AlertRun, *, archive: Path, compare: bool = False) -> BacktestResults:
        """Returns the results of a run of the alert stage.

        Args:
            compare: also runs the rivals, which takes a minute; needs a list of events.
        """
        summary, months = self.log.summary, self.log.months
        articles = Counter(report.target for report in self.reports)
        targets = sum(count >= MIN_ARTICLES for count in articles.values())
        notifications = run.notifications
        results = BacktestResults(
            archive=archive.name,
            bundle=summary.bundle,
            articles=len(summary.lines),
            signals=run.signals,
            first=summary.first,
            last=summary.last,
            months=months,
            targets=targets,
            notifications=notifications,
            rates=notification_rates(run.alerts, months, targets),
        )
        if self.matcher is None:
            return results
        matches = self.matcher.match(map(notification_of, notifications))
        reasons = MissedReasons(
            self.matcher, self.reports, summary.lines, summary.unsupported, run.near_misses, run.alerts
        )
        missed = [
            (telling.event, reasons.of(index))
            for index, telling in enumerate(matches.tellings)
            if telling.notification is None
        ]
        rivals = self._rivals(len(matches.notifications)) if compare else []
        return replace(results, matches=matches, figures=match_figures(matches), missed=missed, rivals=rivals)

    def _rivals(self, number: int) -> list[RivalResult]:
        """Returns what each rival tells, at the setting at which it notifies about `number` times."""
        assert self.matcher is not None
        years = sorted({event.day.year for event in self.events})
        tuned_until = datetime(years[0] + 1, 1, 1, tzinfo=UTC)
        rivals: list[Rival] = [
            KeywordList(self.reports, self._is_listed, tuned_until),
            StaticCounter(self.reports),
            ThreeSigma(self.reports),
            Ewma(self.reports),
        ]
        results = []
        for rival in rivals:
            setting, notifications = at_number(rival, number)
            figures = match_figures(self.matcher.match(notifications))
            results.append(RivalResult(rival.name, setting, figures))
        return results

    def _is_listed(self, report: TargetReport) -> bool:
        """Returns whether a story is on a listed event of its target."""
        assert self.matcher is not None
        return any(self.events[index].covers(report.at) for index in self.matcher.events_on(report.target, report.name))
