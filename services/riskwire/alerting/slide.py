"""The slide of one target: its cumulated sum, what it shows of it, and its running alert.

A slide is an alert separate from spikes: it fires once, does not escalate, and re-arms when it has ended. It ends
when the sum has fallen to half of the threshold, and the next one is measured against what is usual then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from riskwire.alerting.baseline import Rate
from riskwire.alerting.detectors.cusum import DAY_MS, Cusum
from riskwire.alerting.explain import driven_by, duration, negative_stories
from riskwire.alerting.target_story import badness, drivers_of
from riskwire.records import Alert, AlertEvidence, content_id, from_ms

RULE = "slide"
MAX_EVIDENCE = 5
"""Stories of a slide that it keeps to show: the most adverse ones."""
_FROM = 0.5
"""Evidence is kept from this part of the threshold on, and a slide ends when its sum falls below it."""
_CAP = 2.0
"""A sum grows no further than this many times the threshold, so that a slide ends some weeks after its last story."""


@dataclass(frozen=True, slots=True)
class SlideSubject:
    """What an alert says of its target."""

    target: str
    name: str
    groups: tuple[str, ...]
    bundle: str
    weight: float


@dataclass(frozen=True, slots=True)
class SlideMeasure:
    """What a slide is measured against.

    Attributes:
        usual: the belief about the rate of adverse stories.
        usual_share: the usual share of adverse stories.
        exposure: the number of stories of the whole stream up to now.
        exposure_of_day: the number of stories of the whole stream in a day.
        limit: the surprise from which a slide fires.
        min_stories: the least number of adverse stories of a spike.
    """

    usual: Sequence[Rate]
    usual_share: float
    exposure: int
    exposure_of_day: float
    limit: float
    min_stories: int


class Slide:
    """The state of the slide detector for one target."""

    def __init__(self) -> None:
        self._cusum = Cusum()
        self._stories = 0
        """All stories since the sum left zero."""
        self._evidence: list[AlertEvidence] = []
        self._last: Alert | None = None
        """The record of the running alert."""
        self._limit = 0.0
        """The threshold as of the last judgement."""

    @property
    def is_running(self) -> bool:
        """Whether an alert runs."""
        return self._last is not None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to keep in the state."""
        return self._last is None and self._cusum.level <= 0.0

    def count(self, stories: int) -> None:
        """Counts new stories, adverse or not, for the share."""
        if self._cusum.level > 0.0:
            self._stories += stories

    def judge(
        self, subject: SlideSubject, now_ms: int, evidence: Sequence[AlertEvidence | None], measure: SlideMeasure
    ) -> Alert | None:
        """Adds stories that turned adverse, and returns the alert if the slide fires.

        It fires only with more adverse stories than a spike needs, and if their share is larger than usual, too. More
        news in total is not worse news.

        Args:
            evidence: one for each story that turned adverse since the last call; None where none is kept.
        """
        cusum, limit = self._cusum, measure.limit
        self._limit = limit
        cusum.add(now_ms, len(evidence), measure.exposure, measure.usual, measure.exposure_of_day)
        if cusum.since_ms == now_ms:
            self._stories, self._evidence = len(evidence), []
        surprise = cusum.surprise(now_ms)
        if surprise >= _FROM * limit:
            self._keep(story for story in evidence if story is not None)
        if self._last is not None:
            cusum.cap(_CAP * limit)
            return None
        worse = cusum.adverse > measure.usual_share * self._stories
        if surprise < limit or cusum.adverse <= measure.min_stories or not worse:
            return None
        self._last = self._alert(subject, now_ms, surprise, limit)
        cusum.cap(_CAP * limit)
        return self._last

    def settle(self, now_ms: int, exposure: int, exposure_of_day: float) -> bool:
        """Lets the sum fall by the news that was expected since the last story.

        Returns:
            whether the state has changed.
        """
        if self._cusum.level <= 0.0:
            return False
        self._cusum.pass_time(now_ms, exposure, exposure_of_day)
        if self._cusum.level <= 0.0 and self._last is None:
            self._evidence = []
        return True

    def due_ms(self) -> int | None:
        """When the running alert ends if no adverse story comes; None without one."""
        return None if self._last is None else self._cusum.falls_below_ms(_FROM * self._limit)

    def resolve(self, at_ms: int, *, blind: bool) -> Alert:
        """Ends the running alert and returns its last record."""
        assert self._last is not None
        last, self._last, self._evidence = self._last, None, []
        self._cusum.reset()
        end = "hardly any news to see: blind, not calm." if blind else "adverse news is no more frequent than usual."
        summary = f"{last.name}: {end} It was: {last.summary.removeprefix(f'{last.name}: ')}"
        return last.model_copy(update={"status": "resolved", "at": from_ms(at_ms), "blind": blind, "summary": summary})

    def encoded(self) -> dict[str, Any] | None:
        """Returns JSON values for the state; None if there is nothing to keep."""
        if self.is_empty:
            return None
        return {
            "cusum": asdict(self._cusum),
            "stories": self._stories,
            "evidence": [story.model_dump(mode="json") for story in self._evidence],
            "last": self._last and self._last.model_dump(mode="json"),
            "limit": self._limit,
        }

    def load(self, values: dict[str, Any] | None) -> None:
        """Restores the values of `encoded`."""
        if values is None:
            return
        self._cusum = Cusum(**values["cusum"])
        self._stories, self._limit = values["stories"], values["limit"]
        self._evidence = [AlertEvidence.model_validate(story) for story in values["evidence"]]
        self._last = values["last"] and Alert.model_validate(values["last"])

    def _keep(self, evidence: Iterable[AlertEvidence]) -> None:
        """Adds evidence, and keeps the most adverse."""
        self._evidence += evidence
        self._evidence.sort(key=lambda item: (-badness(item), item.seen_at, item.story, item.url))
        del self._evidence[MAX_EVIDENCE:]

    def _alert(self, subject: SlideSubject, now_ms: int, surprise: float, limit: float) -> Alert:
        """Returns the record of a slide that fires now."""
        cusum, now = self._cusum, from_ms(now_ms)
        days = duration(max(1, round((now_ms - cusum.since_ms) / DAY_MS)) * 86_400)
        drivers = drivers_of(self._evidence)
        text = (
            f"{subject.name}: getting worse for {days}: {negative_stories(cusum.adverse)}; "
            f"{cusum.expected:.2g} expected.{driven_by(drivers)}"
        )
        if self._evidence:
            first = self._evidence[0]
            text += f' Most negative: "{first.title}" ({first.publisher or first.source}).'
        fewer = cusum.most_below(limit)
        return Alert(
            id=content_id("alert", subject.target, RULE, now.isoformat()),
            target=subject.target,
            name=subject.name,
            groups=subject.groups,
            rule=RULE,
            kind="slide",
            tier="notice",
            status="firing",
            severity="warning",
            opened_at=now,
            at=now,
            window_s=max(1, (now_ms - cusum.since_ms) // 1000),
            stories=cusum.adverse,
            sources=len({story.source_key for story in self._evidence}),
            expected=round(cusum.expected, 3),
            surprise=round(surprise, 3),
            threshold=round(limit, 3),
            bundle=subject.bundle,
            summary=text,
            would_not_fire=f"It would not have fired with at most {negative_stories(fewer)} in these {days}.",
            evidence=tuple(self._evidence),
            drivers=drivers,
            weight=subject.weight,
        )
