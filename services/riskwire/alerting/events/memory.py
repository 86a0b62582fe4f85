"""The event state of one target: what was reported, which decides what is new."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from riskwire.alerting.events.reading import Happening, is_done
from riskwire.alerting.events.rules import TIER_RANK
from riskwire.records import Alert, AlertEvidence
from riskwire.story import same_story

MAX_FACTS = 8
"""The most stories whose fingerprints a target remembers."""
MAX_PUBLISHERS = 50
"""The most publishers of an episode that are counted."""
_OLD_FACT_MS = 86_400_000
"""A fact that came as backfill and did not notify is not new from this age on."""


@dataclass(slots=True)
class FamilyReport:
    """The last report of one family of event types.

    Attributes:
        at_ms: the time of the report.
        step: the highest step that was reported since the family was new.
        tier: the highest tier in which it was reported since then.
    """

    at_ms: int
    step: int
    tier: str


@dataclass(slots=True)
class Fact:
    """A known story about the target. It is not new if it is published again.

    Attributes:
        fingerprint: the fingerprint of the story.
        at_ms: when it was reported; for backfill, when it was published.
        notified: whether it notified.
    """

    fingerprint: str
    at_ms: int
    notified: bool


@dataclass(slots=True)
class WaitingStories:
    """Doubtful stories of one family that wait for another publisher.

    Attributes:
        at_ms: when the newest story arrived.
        publishers: the keys of the publishers of the stories.
    """

    at_ms: int
    publishers: list[str]


@dataclass(slots=True)
class EventEpisode:
    """A running event alert.

    Attributes:
        last: its newest record. The resolved record is made from it.
        notified_ms: when the newest record notified.
        hot_ms: when its last story arrived.
        stories: the number of its stories, including follow-ups.
        publishers: the keys of the publishers of these stories.
        evidence: the stories that the alert shows.
    """

    last: Alert
    notified_ms: int
    hot_ms: int
    stories: int
    publishers: list[str]
    evidence: list[AlertEvidence]

    def add_publisher(self, publisher: str, now_ms: int) -> None:
        """Counts the publisher of a follow-up, and prolongs the episode."""
        self.hot_ms = now_ms
        if publisher not in self.publishers and len(self.publishers) < MAX_PUBLISHERS:
            self.publishers.append(publisher)


@dataclass(slots=True)
class EventMemory:
    """The event state of one target.

    Attributes:
        reports: the last report of each family.
        facts: the newest known stories, oldest first.
        waiting: the doubtful stories of each family.
        episode: the running event alert.
    """

    target: str
    reports: dict[str, FamilyReport] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    waiting: dict[str, WaitingStories] = field(default_factory=dict)
    episode: EventEpisode | None = None

    def novelty(self, happening: Happening, fingerprint: str, tier: str, now_ms: int) -> float:
        """Returns how new an event is for the target: 1 for new, 0 for reported just now.

        It is new if its family was not reported within the re-arm period, if it is a step up, or if its tier is higher
        than before. Until the family re-arms, the novelty is the part of the period that has passed. A story that
        repeats a known fact is not new, unless it is a step up.

        Args:
            fingerprint: the fingerprint of the story.
            tier: the tier in which it would be reported.
        """
        last_report = self.reports.get(happening.family)
        if last_report is not None and now_ms - last_report.at_ms < (rearm_ms := _rearm_ms(last_report, happening)):
            if self._is_step_up(last_report, happening, tier):
                return 1.0
            return round(max(now_ms - last_report.at_ms, 0) / rearm_ms, 2)
        return 0.0 if self._is_known_fact(fingerprint, now_ms) else 1.0

    @staticmethod
    def _is_step_up(last_report: FamilyReport, happening: Happening, tier: str) -> bool:
        """Returns whether an event has a higher step or a higher tier than the last report of its family.

        A story of the digest is never a step up from a notification.
        """
        rank, reported_rank = TIER_RANK[tier], TIER_RANK[last_report.tier]
        has_higher_step = happening.step > last_report.step
        return rank > reported_rank or (has_higher_step and rank >= min(reported_rank, TIER_RANK["notice"]))

    def _is_known_fact(self, fingerprint: str, now_ms: int) -> bool:
        return any(
            (fact.notified or now_ms - fact.at_ms >= _OLD_FACT_MS) and same_story(fact.fingerprint, fingerprint)
            for fact in self.facts
        )

    def add_report(self, happening: Happening, tier: str, now_ms: int) -> list[str]:
        """Remembers that a family was reported. Its step and tier do not decrease before it re-arms.

        Returns:
            the publishers of the stories of the family that waited for another publisher.
        """
        last_report = self.reports.get(happening.family)
        if last_report is None or now_ms - last_report.at_ms >= _rearm_ms(last_report, happening):
            self.reports[happening.family] = FamilyReport(now_ms, happening.step, tier)
        else:
            last_report.at_ms = now_ms
            last_report.step = max(last_report.step, happening.step)
            last_report.tier = max(last_report.tier, tier, key=TIER_RANK.__getitem__)
        waiting = self.waiting.pop(happening.family, None)
        return [] if waiting is None else waiting.publishers

    def add_fact(self, fingerprint: str, at_ms: int, *, notified: bool) -> None:
        """Remembers a story as a fact. The oldest facts beyond `MAX_FACTS` are forgotten."""
        for fact in self.facts:
            if fact.fingerprint == fingerprint:
                fact.notified = fact.notified or notified
                return
        self.facts.append(Fact(fingerprint, at_ms, notified))
        self.facts.sort(key=lambda fact: (fact.at_ms, fact.fingerprint))
        del self.facts[:-MAX_FACTS]

    def count_publishers(self, family: str, bucket_publishers: Iterable[str], now_ms: int, wait_ms: int) -> int:
        """Returns how many publishers have reported a family: in the bucket, in waiting stories and in the episode.

        Args:
            bucket_publishers: the keys of the publishers in the present bucket.
            wait_ms: how long a doubtful story waits.
        """
        keys = set(bucket_publishers)
        waiting = self.waiting.get(family)
        if waiting is not None and now_ms - waiting.at_ms <= wait_ms:
            keys.update(waiting.publishers)
        if self.episode is not None and family in self.episode.last.families:
            keys.update(self.episode.publishers)
        return len(keys)

    def add_waiting(self, family: str, publisher: str, now_ms: int, wait_ms: int) -> None:
        """Remembers the publisher of a doubtful story. Stories that have waited too long are forgotten."""
        waiting = self.waiting.get(family)
        if waiting is None or now_ms - waiting.at_ms > wait_ms:
            self.waiting[family] = WaitingStories(now_ms, [publisher])
            return
        waiting.at_ms = now_ms
        if publisher not in waiting.publishers and len(waiting.publishers) < MAX_PUBLISHERS:
            waiting.publishers.append(publisher)

    def forget(self, now_ms: int, memory_ms: int, wait_ms: int) -> bool:
        """Forgets reports, facts and waiting stories that are too old to decide anything.

        Args:
            memory_ms: how long reports and facts are remembered.
            wait_ms: how long a doubtful story waits.

        Returns:
            whether anything was forgotten.
        """
        size = len(self.reports) + len(self.facts) + len(self.waiting)
        self.reports = {family: report for family, report in self.reports.items() if now_ms - report.at_ms < memory_ms}
        self.facts = [fact for fact in self.facts if now_ms - fact.at_ms < memory_ms]
        self.waiting = {
            family: waiting for family, waiting in self.waiting.items() if now_ms - waiting.at_ms <= wait_ms
        }
        return len(self.reports) + len(self.facts) + len(self.waiting) != size

    def is_empty(self) -> bool:
        """Whether nothing is remembered, and no alert runs."""
        return not (self.reports or self.facts or self.waiting or self.episode)

    def encoded(self) -> bytes:
        """Returns the memory as bytes of the state."""
        episode = self.episode
        return orjson.dumps(
            {
                "target": self.target,
                "told": {family: [report.at_ms, report.step, report.tier] for family, report in self.reports.items()},
                "facts": [[fact.fingerprint, fact.at_ms, fact.notified] for fact in self.facts],
                "waiting": {family: asdict(waiting) for family, waiting in self.waiting.items()},
                "episode": episode
                and {
                    "last": orjson.Fragment(episode.last.to_bytes()),
                    "notified_ms": episode.notified_ms,
                    "hot_ms": episode.hot_ms,
                    "stories": episode.stories,
                    "publishers": episode.publishers,
                    "evidence": [orjson.Fragment(evidence.to_bytes()) for evidence in episode.evidence],
                },
            }
        )

    @classmethod
    def decoded(cls, encoded: bytes) -> EventMemory:
        """Returns the memory from the bytes of the state."""
        stored: dict[str, Any] = orjson.loads(encoded)
        episode = stored["episode"]
        return cls(
            target=stored["target"],
            reports={family: FamilyReport(*report) for family, report in stored["told"].items()},
            facts=[Fact(*fact) for fact in stored["facts"]],
            waiting={family: WaitingStories(**waiting) for family, waiting in stored["waiting"].items()},
            episode=episode
            and EventEpisode(
                last=Alert.model_validate(episode["last"]),
                notified_ms=episode["notified_ms"],
                hot_ms=episode["hot_ms"],
                stories=episode["stories"],
                publishers=episode["publishers"],
                evidence=[AlertEvidence.model_validate(evidence) for evidence in episode["evidence"]],
            ),
        )


def _rearm_ms(last_report: FamilyReport, happening: Happening) -> int:
    """Returns the re-arm period of a family: longer after a fact, such as a filing, than after a feared event."""
    return happening.rule.settled_ms if is_done(last_report.step) else happening.rule.rearm_ms
