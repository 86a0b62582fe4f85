"""What one target was notified of: the part of the state that decides what is new."""

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
"""Stories of which a target remembers the fingerprint."""
MAX_PUBLISHERS = 50
"""Publishers of an episode that are distinguished; further ones are not counted."""
_OLD_FACT_MS = 86_400_000
"""A fact that was read as backfill and not reported is no news from this age on."""


@dataclass(slots=True)
class Told:
    """The last notification of one family of event types.

    Attributes:
        at_ms: when it was.
        step: the highest step that was reported since the family was new.
        tier: the highest tier of it.
    """

    at_ms: int
    step: int
    tier: str


@dataclass(slots=True)
class Fact:
    """A story that the target's past has: it is not new if it is reported again.

    Attributes:
        fingerprint: its fingerprint.
        at_ms: when it was reported; of backfill, when it was published.
        told: whether it notified.
    """

    fingerprint: str
    at_ms: int
    told: bool


@dataclass(slots=True)
class Waiting:
    """Doubtful stories of one family that wait for a further publisher.

    Attributes:
        at_ms: when the newest came.
        publishers: the keys of their publishers.
    """

    at_ms: int
    publishers: list[str]


@dataclass(slots=True)
class EventEpisode:
    """A running event alert.

    Attributes:
        last: the newest record of it, from which the resolving one is made.
        notified_ms: when that notified.
        hot_ms: when the last story of it came.
        stories: the stories of it, follow-ups included.
        publishers: the keys of their publishers.
        evidence: what an alert shows of these stories.
    """

    last: Alert
    notified_ms: int
    hot_ms: int
    stories: int
    publishers: list[str]
    evidence: list[AlertEvidence]

    def confirm(self, publisher: str, now_ms: int) -> None:
        """Counts a publisher, and prolongs the episode."""
        self.hot_ms = now_ms
        if publisher not in self.publishers and len(self.publishers) < MAX_PUBLISHERS:
            self.publishers.append(publisher)


@dataclass(slots=True)
class EventMemory:
    """The event state of one target.

    Attributes:
        told: the last notification of each family.
        facts: the newest stories that are not new if they are reported again, oldest first.
        waiting: the doubtful stories of each family.
        episode: the running event alert.
    """

    target: str
    told: dict[str, Told] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    episode: EventEpisode | None = None

    def novelty(self, happening: Happening, fingerprint: str, tier: str, now_ms: int) -> float:
        """Returns how new it is for the target that this happened: 1 for new, 0 for reported just now.

        It is new if its family was not reported within the re-arm period, if it is a step up, or if its tier is higher
        tier than before. Until the family re-arms, the novelty is the part of the period that has passed. A story that
        retells a fact of the target's past is not new, unless it is a step up.

        Args:
            fingerprint: the fingerprint of the story.
            tier: the tier in which it would be reported.
        """
        last = self.told.get(happening.family)
        if last is not None and now_ms - last.at_ms < (rearm_ms := _rearm_ms(last, happening)):
            if self._goes_further(last, happening, tier):
                return 1.0
            return round(max(now_ms - last.at_ms, 0) / rearm_ms, 2)
        return 0.0 if self._knows(fingerprint, now_ms) else 1.0

    @staticmethod
    def _goes_further(last: Told, happening: Happening, tier: str) -> bool:
        """Returns whether something is a step up from what was reported, or would be reported in a higher tier.

        A line of the digest is no step up from a notification.
        """
        rank, told_rank = TIER_RANK[tier], TIER_RANK[last.tier]
        return rank > told_rank or (happening.step > last.step and rank >= min(told_rank, TIER_RANK["notice"]))

    def _knows(self, fingerprint: str, now_ms: int) -> bool:
        return any(
            (fact.told or now_ms - fact.at_ms >= _OLD_FACT_MS) and same_story(fact.fingerprint, fingerprint)
            for fact in self.facts
        )

    def tell(self, happening: Happening, tier: str, now_ms: int) -> list[str]:
        """Remembers that a family was reported. Its step and tier do not fall before it re-arms.

        Returns:
            the publishers of stories of the family that waited for a further one.
        """
        last = self.told.get(happening.family)
        if last is None or now_ms - last.at_ms >= _rearm_ms(last, happening):
            self.told[happening.family] = Told(now_ms, happening.step, tier)
        else:
            last.at_ms = now_ms
            last.step = max(last.step, happening.step)
            last.tier = max(last.tier, tier, key=TIER_RANK.__getitem__)
        waiting = self.waiting.pop(happening.family, None)
        return [] if waiting is None else waiting.publishers

    def remember(self, fingerprint: str, at_ms: int, *, told: bool) -> None:
        """Remembers a story as a fact. The oldest of more than `MAX_FACTS` are forgotten."""
        for fact in self.facts:
            if fact.fingerprint == fingerprint:
                fact.told = fact.told or told
                return
        self.facts.append(Fact(fingerprint, at_ms, told))
        self.facts.sort(key=lambda fact: (fact.at_ms, fact.fingerprint))
        del self.facts[:-MAX_FACTS]

    def publishers(self, family: str, present: Iterable[str], now_ms: int, wait_ms: int) -> int:
        """Returns how many publishers have reported a family: present ones, those that wait, those of the episode.

        Args:
            present: the keys of the publishers of the present bucket.
            wait_ms: how long a doubtful story waits.
        """
        keys = set(present)
        waiting = self.waiting.get(family)
        if waiting is not None and now_ms - waiting.at_ms <= wait_ms:
            keys.update(waiting.publishers)
        if self.episode is not None and family in self.episode.last.families:
            keys.update(self.episode.publishers)
        return len(keys)

    def wait(self, family: str, publisher: str, now_ms: int, wait_ms: int) -> None:
        """Remembers the publisher of a doubtful story; those that have waited too long are forgotten."""
        waiting = self.waiting.get(family)
        if waiting is None or now_ms - waiting.at_ms > wait_ms:
            self.waiting[family] = Waiting(now_ms, [publisher])
            return
        waiting.at_ms = now_ms
        if publisher not in waiting.publishers and len(waiting.publishers) < MAX_PUBLISHERS:
            waiting.publishers.append(publisher)

    def forget(self, now_ms: int, memory_ms: int, wait_ms: int) -> bool:
        """Forgets what no longer decides anything.

        Args:
            memory_ms: how long facts and families are remembered.
            wait_ms: how long a doubtful story waits.

        Returns:
            whether anything was forgotten.
        """
        size = len(self.told) + len(self.facts) + len(self.waiting)
        self.told = {family: last for family, last in self.told.items() if now_ms - last.at_ms < memory_ms}
        self.facts = [fact for fact in self.facts if now_ms - fact.at_ms < memory_ms]
        self.waiting = {
            family: waiting for family, waiting in self.waiting.items() if now_ms - waiting.at_ms <= wait_ms
        }
        return len(self.told) + len(self.facts) + len(self.waiting) != size

    def is_empty(self) -> bool:
        """Whether nothing is remembered, and no alert runs."""
        return not (self.told or self.facts or self.waiting or self.episode)

    def encoded(self) -> bytes:
        """Returns the memory as bytes of the state."""
        episode = self.episode
        return orjson.dumps(
            {
                "target": self.target,
                "told": {family: [told.at_ms, told.step, told.tier] for family, told in self.told.items()},
                "facts": [[fact.fingerprint, fact.at_ms, fact.told] for fact in self.facts],
                "waiting": {family: asdict(waiting) for family, waiting in self.waiting.items()},
                "episode": episode
                and {
                    "last": orjson.Fragment(episode.last.to_bytes()),
                    "notified_ms": episode.notified_ms,
                    "hot_ms": episode.hot_ms,
                    "stories": episode.stories,
                    "publishers": episode.publishers,
                    "evidence": [orjson.Fragment(item.to_bytes()) for item in episode.evidence],
                },
            }
        )

    @classmethod
    def decoded(cls, raw: bytes) -> EventMemory:
        """Returns the memory that `encoded` gave."""
        values: dict[str, Any] = orjson.loads(raw)
        episode = values["episode"]
        return cls(
            target=values["target"],
            told={family: Told(*told) for family, told in values["told"].items()},
            facts=[Fact(*fact) for fact in values["facts"]],
            waiting={family: Waiting(**waiting) for family, waiting in values["waiting"].items()},
            episode=episode
            and EventEpisode(
                last=Alert.model_validate(episode["last"]),
                notified_ms=episode["notified_ms"],
                hot_ms=episode["hot_ms"],
                stories=episode["stories"],
                publishers=episode["publishers"],
                evidence=[AlertEvidence.model_validate(item) for item in episode["evidence"]],
            ),
        )


def _rearm_ms(last: Told, happening: Happening) -> int:
    """Returns for how long a family is not new: longer after a fact, such as a filing, than after a fear."""
    return happening.rule.settled_ms if is_done(last.step) else happening.rule.rearm_ms
