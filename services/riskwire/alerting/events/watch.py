"""Event alerts of one partition: each material story of a party that is new for it notifies at the end of its bucket.

Stories of a bucket come in the canonical order of the book, and each sees what the stories before it changed. A bucket
gives at most one record of a target's episode. Only parties (`entity:…`) have event alerts; groups, topics and the
market do not. A bundle without levels gives none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from riskwire.alerting.events import explain
from riskwire.alerting.events.memory import EventEpisode, EventMemory
from riskwire.alerting.events.reading import Happening, happenings, is_good_news
from riskwire.alerting.events.rules import EventRules
from riskwire.alerting.events.told import ToldStory, alert_episode, near_miss
from riskwire.alerting.events.verdict import EventVerdict, judge
from riskwire.alerting.target_story import TargetStory, evidence_of
from riskwire.records import PARTY_TARGET, Alert, NearMiss, Signal, from_ms, to_ms
from riskwire.settings import AlertingSettings
from riskwire.stage import KeyedState

_RANK = attrgetter("rank")


@dataclass(slots=True)
class _TargetBucket:
    """What the stories of one target in the present bucket led to.

    Attributes:
        told: the stories that notify, in order.
        followed: follow-ups of these in the same bucket, with their novelty.
        publishers: the keys of the publishers of both.
        misses: the near misses.
    """

    told: list[ToldStory] = field(default_factory=list)
    followed: list[tuple[Signal, float]] = field(default_factory=list)
    publishers: list[str] = field(default_factory=list)
    misses: list[NearMiss] = field(default_factory=list)

    def publishers_of(self, family: str) -> list[str]:
        """Returns the publishers, if a story of this family was reported in the bucket."""
        notified = any(new.happening.family == family for story in self.told for new in story.news)
        return self.publishers if notified else []


class EventWatch:
    """The event state of the targets of one partition."""

    def __init__(self, settings: AlertingSettings, rules: EventRules, state: Mapping[str, bytes]) -> None:
        """Restores the event state from the committed state of the partition."""
        self._settings = settings
        self._rules = rules
        self._memories = KeyedState("events/", state, encode=EventMemory.encoded, decode=EventMemory.decoded)
        self._running = {target for target, memory in self._memories.entries.items() if memory.episode is not None}
        """Targets with a running event alert."""
        self._bucket: dict[str, _TargetBucket] = {}

    def __contains__(self, target: object) -> bool:
        """Whether a target has an event state."""
        return target in self._memories

    def notified(self, target: str) -> tuple[int, int]:
        """Returns when the running event alert of a target last notified, and of how many stories; 0 without one."""
        if target not in self._running:
            return 0, 0
        episode = self._episode(target)
        return episode.notified_ms, episode.stories

    def concerns(self, signal: Signal) -> bool:
        """Whether a signal comes near an event alert: it is about a party, and title or text is adverse enough."""
        if not signal.target.startswith(PARTY_TARGET):
            return False
        return self._is_near(signal) or (signal.title_reading is not None and self._is_near(signal.as_in_title()))

    def _is_near(self, signal: Signal) -> bool:
        level, near = signal.level, self._rules.near
        if level is None or signal.adverse is None:
            return False
        return signal.adverse >= near or (
            level.favourable >= near and self._rules.words.is_rescue(signal.evidence.text)
        )

    def consider(self, signal: Signal, story: TargetStory | None, now_ms: int) -> None:
        """Decides on a signal of the present bucket that `concerns` an event alert.

        It notifies, joins the running alert, or came near. A title that names the party decides how bad the story is
        and what happened. The worst sentence of the text does not: it often repeats what was in the news before.

        Args:
            story: the story of the signal in the target's window; None for backfill and history.
            now_ms: the end of the bucket.
        """
        judged = signal.as_in_title()
        happened = happenings(judged, self._rules)
        good_news = story is not None and is_good_news(judged, self._rules)
        miss: EventVerdict | None
        if story is None:
            miss = self._take_past(judged, happened[0], now_ms)
        elif good_news:
            miss = EventVerdict(happened[0], "digest", "level", 1.0, 1, False)
        else:
            miss = self._decide(judged, story, happened, now_ms)
        if miss is not None:
            detail = explain.DENIED if good_news else explain.detail(judged, miss)
            self._miss(judged, story, miss, now_ms, detail + explain.beside_title(signal))

    def close(self, target: str, now_ms: int) -> tuple[list[Alert], list[NearMiss]]:
        """Ends the present bucket of a target, and returns its alerts and near misses.

        Args:
            now_ms: the end of the bucket.
        """
        bucket = self._bucket.pop(target, None)
        if bucket is None:
            return [], []
        misses = sorted(bucket.misses, key=lambda miss: (-(miss.adverse or 0.0), miss.article, miss.version))
        alerts = self._notify(self._memories[target], bucket, now_ms) if bucket.told else []
        return alerts, misses[: self._settings.max_near_misses]

    def due(self) -> list[tuple[int, str]]:
        """Returns when each running event alert resolves, unless a story of it comes before, with its target."""
        calm_ms = self._settings.calm_s * 1000
        return [(self._episode(target).hot_ms + calm_ms, target) for target in self._running]

    def resolve(self, target: str, at_ms: int, *, blind: bool) -> Alert:
        """Ends the running event alert of a target and returns its last record, of status `resolved`.

        Args:
            at_ms: the time at which the calm has lasted long enough.
            blind: whether there was too little news to call it calm.
        """
        memory = self._memories[target]
        episode = self._episode(target)
        memory.episode = None
        self._running.discard(target)
        self._memories.touch(target)
        last = episode.last
        return last.model_copy(
            update={
                "status": "resolved",
                "at": from_ms(at_ms),
                "blind": blind,
                "stories": episode.stories,
                "sources": len(episode.publishers),
                "evidence": tuple(episode.evidence),
                "summary": explain.resolved(last.name, self._settings.calm_s, blind, last.summary, episode.stories),
            }
        )

    def forget(self, now_ms: int) -> None:
        """Forgets what no longer decides anything; once a day of stream time."""
        for target, memory in list(self._memories.entries.items()):
            if memory.forget(now_ms, self._rules.memory_ms, self._rules.corroborate_ms):
                self._memories.touch(target)
            if memory.is_empty():
                self._memories.delete(target)

    def drop(self, target: str) -> None:
        """Forgets a target that is dropped; it has no running event alert."""
        if target in self._memories:
            self._memories.delete(target)

    def is_running(self, target: str) -> bool:
        """Whether a target has a running event alert."""
        return target in self._running

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the changes of the state since the last call."""
        return self._memories.take_changes()

    def _decide(
        self, signal: Signal, story: TargetStory, happened: Sequence[Happening], now_ms: int
    ) -> EventVerdict | None:
        """Decides on a story that is neither past nor good news.

        Returns:
            the first verdict by which it did not notify; None if it did, or is counted as a follow-up.
        """
        memory = self._memories.get(signal.target) or EventMemory(signal.target)
        bucket = self._of_bucket(signal.target)
        wait_ms = self._rules.corroborate_ms
        verdicts = [
            judge(signal, happening, memory, bucket.publishers_of(happening.family), now_ms, wait_ms)
            for happening in happened
        ]
        news = sorted([verdict for verdict in verdicts if verdict.reason is None], key=_RANK, reverse=True)
        for verdict in verdicts:
            family = verdict.happening.family
            if verdict.reason is None or (verdict.reason == "same_episode" and verdict.novelty == 1.0):
                bucket.publishers += memory.add_report(verdict.happening, verdict.tier, now_ms)
            elif verdict.reason == "corroboration":
                memory.add_waiting(family, signal.source_key, now_ms, wait_ms)
            else:
                continue
            self._keep(memory)
        if news:
            memory.add_fact(signal.story, now_ms, notified=True)
            bucket.told.append(ToldStory(signal, tuple(news)))
            bucket.publishers.append(signal.source_key)
            story.joined = True
            return None
        follow_up = next((verdict for verdict in verdicts if verdict.reason == "same_episode"), None)
        if follow_up is not None and self._join(memory, bucket, signal, story, follow_up.novelty, now_ms):
            return None
        return follow_up or verdicts[0]

    def _join(
        self,
        memory: EventMemory,
        bucket: _TargetBucket,
        signal: Signal,
        story: TargetStory,
        novelty: float,
        now_ms: int,
    ) -> bool:
        """Counts a follow-up: a story counts once, however often it is corrected or reprinted, and each publisher.

        Returns:
            whether that is all: the story is counted already, or the record of the present bucket shows it.
        """
        known, story.joined = story.joined, True
        if bucket.told:
            if not known:
                bucket.followed.append((signal, novelty))
            bucket.publishers.append(signal.source_key)
            return True
        assert memory.episode is not None
        self._keep(memory)
        memory.episode.add_publisher(signal.source_key, now_ms)
        if not known:
            memory.episode.stories += 1
            if len(memory.episode.evidence) < self._settings.max_evidence:
                memory.episode.evidence.append(evidence_of(signal, novelty))
        return known

    def _take_past(self, signal: Signal, happening: Happening, now_ms: int) -> EventVerdict:
        """Remembers a material story of the past as a fact; returns the verdict by which it did not notify."""
        memory = self._memories.get(signal.target) or EventMemory(signal.target)
        verdict = judge(signal, happening, memory, (), now_ms, self._rules.corroborate_ms)
        if verdict.reason is None and verdict.tier != "digest":
            memory.add_fact(signal.story, min(to_ms(signal.published_at), now_ms), notified=False)
            self._keep(memory)
        return replace(verdict, reason="backfill")

    def _miss(self, signal: Signal, story: TargetStory | None, verdict: EventVerdict, now_ms: int, detail: str) -> None:
        """Records that a story did not notify. Articles of one story are recorded once for each reason in a row.

        Args:
            detail: the reason in words.
        """
        assert verdict.reason is not None
        if story is not None:
            if story.miss == verdict.reason:
                return
            story.miss = verdict.reason
        alert = self._episode(signal.target).last.id if verdict.reason == "same_episode" else ""
        self._of_bucket(signal.target).misses.append(near_miss(signal, verdict, now_ms, alert, detail))

    def _notify(self, memory: EventMemory, bucket: _TargetBucket, now_ms: int) -> list[Alert]:
        """Returns the records of the stories that notify: a running alert escalates, or a new one fires.

        Lines of the digest have episodes of their own: a notification ends such an episode, and begins another.
        """
        alerts = []
        worst = max(bucket.told, key=lambda story: story.rank)
        episode = memory.episode
        if episode is not None and episode.last.tier == "digest" and worst.news[0].tier != "digest":
            alerts.append(self.resolve(memory.target, now_ms, blind=False))
            episode = None
        memory.episode = alert_episode(
            episode, bucket.told, worst, bucket.followed, bucket.publishers, now_ms, self._settings.max_evidence
        )
        self._running.add(memory.target)
        self._keep(memory)
        return [*alerts, memory.episode.last]

    def _keep(self, memory: EventMemory) -> None:
        self._memories.set(memory.target, memory)

    def _episode(self, target: str) -> EventEpisode:
        episode = self._memories[target].episode
        assert episode is not None
        return episode

    def _of_bucket(self, target: str) -> _TargetBucket:
        return self._bucket.setdefault(target, _TargetBucket())
