"""A rival that looks for bad words in titles: `stems.txt`, with a cool-down of seven days a name. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from riskwire.backtest.matching import Notification
from riskwire.backtest.stories import TargetReport

STEMS = Path(__file__).with_name("stems.txt")
COOL_DOWN = timedelta(days=7)
_PRIOR = 2
"""Titles added to each stem when its precision is estimated, so that a rare stem is not taken for a good one."""


def read_stems(path: Path = STEMS) -> tuple[str, ...]:
    """Returns the stems of a file, one a line: a word begins with it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(line.strip().casefold() for line in lines if line.strip() and not line.startswith("#"))


class KeywordList:
    """The list of stems, ordered by how often a title with the stem was about a listed event in the part for tuning.

    Its knob is how many of the stems it uses, the best first.
    """

    name = "keyword list"

    def __init__(
        self,
        reports: Sequence[TargetReport],
        is_listed: Callable[[TargetReport], bool],
        tuned_until: datetime,
        stems: Sequence[str] | None = None,
    ) -> None:
        """Orders the stems.

        Args:
            is_listed: whether a story is on a listed event of its target.
            tuned_until: only earlier stories decide the order.
        """
        self._titles = [report for report in reports if report.in_title and not report.backfill]
        self._ordered = _by_precision(self._titles, is_listed, tuned_until, read_stems() if stems is None else stems)
        self.settings: Sequence[float] = range(len(self._ordered), 0, -1)

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems, the best first."""
        return self._ordered

    def notifications(self, setting: float) -> list[Notification]:
        """Returns what the list tells with its first `setting` stems."""
        pattern = _pattern(self._ordered[: round(setting)])
        notifications = []
        armed_from: dict[str, datetime] = {}
        for report in self._titles:
            if report.at < armed_from.get(report.target, report.at) or not pattern.search(report.title.casefold()):
                continue
            notifications.append(Notification(report.at, report.target, report.name, report.title, kind=self.name))
            armed_from[report.target] = report.at + COOL_DOWN
        return notifications


def _by_precision(
    titles: Sequence[TargetReport],
    is_listed: Callable[[TargetReport], bool],
    tuned_until: datetime,
    stems: Sequence[str],
) -> tuple[str, ...]:
    """Returns the stems by the share of their titles that are on a listed event, the highest first."""
    patterns = [(stem, _pattern([stem])) for stem in stems]
    occurrences: Counter[str] = Counter()
    listed: Counter[str] = Counter()
    for report in titles:
        if report.at >= tuned_until:
            continue
        title = report.title.casefold()
        on_list = is_listed(report)
        for stem, pattern in patterns:
            if pattern.search(title):
                occurrences[stem] += 1
                listed[stem] += on_list
    return tuple(sorted(stems, key=lambda stem: (-listed[stem] / (occurrences[stem] + _PRIOR), stem)))


def _pattern(stems: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, stems))})")
