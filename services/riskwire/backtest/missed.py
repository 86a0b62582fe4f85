"""Why an event was missed: the reason on record of its first story, or else of the story that came nearest. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from riskwire.backtest.alert_run import is_notification
from riskwire.backtest.matching import Matcher
from riskwire.backtest.stories import TargetReport
from riskwire.records import Alert, NearMiss, Record

_MAX_NAMES = 6
"""Linked names that a reason tells."""


class MissedReason(Record):
    """Why an event was missed.

    Attributes:
        reason: that of a near miss (`NearMissReason`), `digest` for an event that only the daily list has, `linking` if
            no story in its time was linked to its target, `weak` if its stories were far from adverse, `unread` if its
            first story is in a language that the bundle does not read.
        detail: the story and the figures that decided.
    """

    reason: str
    detail: str


class MissedReasons:
    """Finds the reasons, from what the articles said and what the alert stage recorded."""

    def __init__(
        self,
        matcher: Matcher,
        reports: Iterable[TargetReport],
        lines: Mapping[str, int],
        unsupported: Collection[int],
        near_misses: Iterable[NearMiss],
        alerts: Iterable[Alert],
    ) -> None:
        """Sorts what the archive and the run have by target and line.

        Args:
            lines: by id of an article, the number of its line in the archive.
            unsupported: the lines that the model did not read because of their language.
        """
        self._events = matcher.events
        self._unsupported = unsupported
        self._by_line: dict[int, list[TargetReport]] = defaultdict(list)
        self._by_event: dict[int, list[TargetReport]] = defaultdict(list)
        for report in reports:
            for index in matcher.events_on(report.target, report.name):
                if matcher.events[index].covers(report.at):
                    self._by_event[index].append(report)
            if (line := lines.get(report.article)) is not None:
                self._by_line[line].append(report)
        self._near_misses: dict[str, list[NearMiss]] = defaultdict(list)
        for near_miss in near_misses:
            self._near_misses[near_miss.target].append(near_miss)
        self._digests: dict[str, list[Alert]] = defaultdict(list)
        for alert in alerts:
            if alert.status != "resolved" and not is_notification(alert):
                self._digests[alert.target].append(alert)

    def of(self, index: int) -> MissedReason:
        """Returns why an event, by its index in the list, was missed."""
        event = self._events[index]
        first_story = self._by_line.get(event.line, []) if event.line is not None else []
        reports = self._by_event.get(index, [])
        targets = {report.target for report in reports}
        near_misses = [
            near_miss
            for target in sorted(targets)
            for near_miss in self._near_misses[target]
            if event.covers(near_miss.at)
        ]
        articles = {report.article for report in first_story if report.target in targets}
        if not articles and event.line is not None and not near_misses:
            if event.line in self._unsupported:
                return MissedReason(reason="unread", detail="The language of its first story is not read.")
            return MissedReason(reason="linking", detail=_linked(first_story))
        of_first = [near_miss for near_miss in near_misses if near_miss.article in articles]
        if of_first or near_misses:
            nearest = max(of_first or near_misses, key=_material)
            return MissedReason(reason=nearest.reason, detail=f"{nearest.title}: {nearest.detail}")
        digests = [alert for target in sorted(targets) for alert in self._digests[target] if event.covers(alert.at)]
        if digests:
            return MissedReason(reason="digest", detail=digests[0].summary)
        if not reports:
            return MissedReason(reason="linking", detail="No story in its time is linked to this target.")
        worst = max(reports, key=lambda report: report.material)
        return MissedReason(
            reason="weak", detail=f"{worst.title}: material {worst.material:.2f}, adverse {worst.adverse:.2f}"
        )


def _linked(reports: Sequence[TargetReport]) -> str:
    """Returns which targets a first story was linked to instead."""
    if not reports:
        return "Its first story is linked to no target."
    names = ", ".join(dict.fromkeys(f"{report.mention!r} to {report.target}" for report in reports[:_MAX_NAMES]))
    return f"{reports[0].title}: linked {names}."


def _material(near_miss: NearMiss) -> tuple[float, str]:
    return (near_miss.level.material if near_miss.level else 0.0), near_miss.id
