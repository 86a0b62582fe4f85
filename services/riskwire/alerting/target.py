"""One target: its window, its baseline, its episode, and the judging of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import orjson

from riskwire.alerting.baseline import Baseline, Rate, prior_of
from riskwire.alerting.detector import MOST_SOURCES, Prediction, Verdict
from riskwire.alerting.episode import (
    Decision,
    Episode,
    Move,
    Thresholds,
    decide,
    is_hot,
    severity,
)
from riskwire.alerting.explain import resolved, summary, would_not_fire
from riskwire.alerting.exposure import Exposure, decay
from riskwire.alerting.story_index import MILLION
from riskwire.alerting.window import Change, Left, Window
from riskwire.records import Alert, AlertEvidence, Signal, content_id, from_ms
from riskwire.settings import AlertingSettings

SLOT_MS = 900_000
"""Stories and exposure are kept in slots of a quarter of an hour."""
REMEMBER_MS = 3 * 86_400_000
"""How long a story is remembered, so that a late reprint is not news."""
_SURPRISE = attrgetter("surprise")
WORSE_SCORE = 0.1
"""A window's mean score this far below the baseline's is worse."""
RULE = "default"


class Target:
    """What is kept of one target; decides when told to judge, and holds no clock."""

    def __init__(self, target: str, settings: AlertingSettings, thresholds: Thresholds) -> None:
        self.target = target
        self.name = target.partition(":")[2]
        self.groups: tuple[str, ...] = ()
        self.bundle = ""
        self.touched_ms = 0
        self.baseline = Baseline()
        self.episode: Episode | None = None
        self.surprise = 0.0
        self._settings = settings
        self._thresholds = thresholds
        self._prior = prior_of(target)
        self.window = Window(
            slot_ms=SLOT_MS,
            horizon_ms=horizon_ms(settings),
            remember_ms=REMEMBER_MS,
            evidence_per_slot=2 * settings.max_evidence,
            most_stories=settings.max_stories,
        )

    def add(self, signal: Signal, at_ms: int) -> Change:
        """Take a signal at `at_ms`. Backfill is learned from at once and never enters the window."""
        self.name, self.groups, self.bundle = signal.name, signal.groups, signal.bundle or self.bundle
        self.touched_ms = max(self.touched_ms, at_ms)
        if signal.backfill:
            negative = signal.sentiment.negative >= self._settings.negative_from
            self.baseline.learn(at_ms, 1, int(negative), signal.sentiment.score, 0, half_life_ms(self._settings))
            return Change(article=True, story=True, negative=False)
        return self.window.add(signal, at_ms, self._settings.negative_from)

    def remember(self, signal: Signal, now_ms: int) -> None:
        """Learn a story from before this target was watched as if it had been, once: rate, share and score. It never
        enters the window, and who tells it again has no news."""
        self.name, self.groups, self.bundle = signal.name, signal.groups, signal.bundle or self.bundle
        self.touched_ms = max(self.touched_ms, now_ms)
        seen_ms = min(round(signal.seen_at.timestamp() * 1000), now_ms)
        if not self.window.remember(signal, seen_ms, now_ms, self._settings.negative_from):
            return
        half_life = half_life_ms(self._settings)
        weight = decay(now_ms - seen_ms, half_life)
        negative = weight if signal.sentiment.negative >= self._settings.negative_from else 0.0
        events = 0.0 if signal.was_backfill else negative
        self.baseline.learn(now_ms, weight, negative, weight * signal.sentiment.score, events, half_life)

    def roll(self, now_ms: int) -> None:
        """Let time pass: what leaves the window is learned."""
        for left in self.window.roll(now_ms):
            self._learn(left)

    def judge(self, now_ms: int, exposure: Exposure, *, may_notify: bool) -> Alert | None:
        """Look at the windows as of `now_ms`; with `may_notify` (a new negative story came) an alert may come of it."""
        if not may_notify and not self.window.negatives(now_ms - horizon_ms(self._settings)):
            rates = self._rates(self.baseline.as_of(now_ms, half_life_ms(self._settings)), now_ms, exposure)
            self.surprise = Prediction(tuple((rate.weight, 0.0, rate.shape) for rate in rates)).surprise(0)
            return None
        whole = self._verdicts(now_ms, exposure, since_ms=0, known=0)
        self.surprise = max(map(_SURPRISE, whole))
        if not may_notify:
            return None
        episode = self.episode
        if episode is not None and is_hot(whole, self._thresholds):
            episode.hot_ms = now_ms
        fresh: list[Verdict] = []
        if episode is not None:
            fresh = self._verdicts(now_ms, exposure, since_ms=episode.notified_ms, known=episode.negative)
        decision = decide(episode, whole, fresh, self._thresholds, self._settings.min_stories)
        if decision.move is Move.NONE:
            return None
        alert = self._alert(decision, now_ms, since_ms=episode.notified_ms if episode and decision.fresh else 0)
        notified = 0 if episode is None else episode.negative
        counted = self.window.negatives(max(now_ms - horizon_ms(self._settings), episode.notified_ms if episode else 0))
        self.episode = Episode(alert, notified_ms=now_ms, hot_ms=now_ms, negative=notified + counted)
        return alert

    def due_ms(self) -> int | None:
        """When its episode resolves by itself."""
        return None if self.episode is None else self.episode.calm_until(self._settings.calm_s * 1000)

    def resolve(self, at_ms: int, *, blind: bool) -> Alert:
        """End the episode."""
        assert self.episode is not None
        last, self.episode = self.episode.last, None
        return last.model_copy(
            update={
                "status": "resolved",
                "at": from_ms(at_ms),
                "blind": blind,
                "summary": resolved(last.name, self._settings.calm_s, blind),
            }
        )

    def is_idle(self, now_ms: int) -> bool:
        """Whether forgetting it loses nothing that matters: no stories, no episode, a past that has faded."""
        faded = self.baseline.as_of(now_ms, half_life_ms(self._settings)).stories < 0.02
        return not len(self.window) and self.episode is None and faded

    def encoded(self) -> bytes:
        """All but the window, as state."""
        episode = self.episode
        return orjson.dumps(
            {
                "name": self.name,
                "groups": self.groups,
                "bundle": self.bundle,
                "touched": self.touched_ms,
                "learned": self.window.learned_ms,
                "surprise": self.surprise,
                "baseline": self.baseline,
                "episode": episode
                and {
                    "last": episode.last.model_dump(mode="json"),
                    "notified_ms": episode.notified_ms,
                    "hot_ms": episode.hot_ms,
                    "negative": episode.negative,
                },
            }
        )

    def load(self, raw: bytes) -> None:
        """Take back what `encoded` gave."""
        plain: dict[str, Any] = orjson.loads(raw)
        self.name, self.groups, self.bundle = plain["name"], tuple(plain["groups"]), plain["bundle"]
        self.touched_ms, self.surprise = plain["touched"], plain["surprise"]
        self.window.learned_until(plain["learned"])
        self.baseline = Baseline(**plain["baseline"])
        if plain["episode"]:
            last = Alert.model_validate(plain["episode"].pop("last"))
            self.episode = Episode(last, **plain["episode"])

    def _learn(self, left: Left) -> None:
        self.baseline.learn(
            left.at_ms, left.stories, left.negative, left.score, left.negative, half_life_ms(self._settings)
        )

    def _verdicts(self, now_ms: int, exposure: Exposure, since_ms: int, known: int) -> list[Verdict]:
        """A verdict for each window on stories after `since_ms`; `known` negative stories are added to the past."""
        past = self.baseline.as_of(now_ms, half_life_ms(self._settings))
        min_stories, notice = self._settings.min_stories, self._thresholds.notice
        rates = self._rates(past, now_ms, exposure, known)
        baseline_score = past.mean_score(self._prior)
        baseline_share = past.share(self._prior)
        verdicts = []
        for window_s in self._settings.windows_s:
            start = max(now_ms - window_s * 1000, since_ms)
            negative = self.window.negatives(start)
            stories = max(exposure.within(now_ms, now_ms - start), negative, 1)
            prediction = Prediction(
                tuple([(rate.weight, rate.shape / rate.stories * stories, rate.shape) for rate in rates])
            )
            if negative >= min_stories:
                prediction = prediction.told_by(self.window.tellers(start, MOST_SOURCES))
            verdict = Verdict(window_s, negative, prediction, prediction.surprise(negative), baseline_score)
            if verdict.surprise >= notice:
                verdict = self._with_mood(verdict, start, baseline_share)
            verdicts.append(verdict)
        return verdicts

    def _rates(self, past: Baseline, now_ms: int, exposure: Exposure, known: int = 0) -> tuple[Rate, ...]:
        return past.rates(self._prior, exposure.before(now_ms), known)

    def _sources(self, start_ms: int) -> set[str]:
        """Who told the negative stories since `start_ms`."""
        return set().union(*(story.sources for story in self.window.negative_stories(start_ms)))

    def _with_mood(self, verdict: Verdict, start_ms: int, baseline_share: float) -> Verdict:
        """Add the window's share and mean score, which only matter once the rate is surprising."""
        stories = self.window.count(start_ms)
        balance = sum(story.balance for story in self.window.stories(start_ms))
        score = balance / MILLION / max(stories, 1)
        worse = verdict.negative > baseline_share * stories or score < verdict.baseline_score - WORSE_SCORE
        return replace(verdict, stories=stories, score=score, worse=worse)

    def _alert(self, decision: Decision, now_ms: int, since_ms: int) -> Alert:
        verdict, tier = decision.verdict, decision.tier
        assert verdict is not None
        assert tier is not None
        fired = decision.move is Move.FIRE
        start = max(now_ms - verdict.window_s * 1000, since_ms)
        sources = len(self._sources(start))
        opened = from_ms(now_ms) if self.episode is None else self.episode.last.opened_at
        evidence = self._evidence(start)
        paged = verdict.surprise >= self._thresholds.page
        limit = self._thresholds.page if paged else self._thresholds.notice
        return Alert(
            id=content_id("alert", self.target, RULE, opened.isoformat()),
            target=self.target,
            name=self.name,
            groups=self.groups,
            rule=RULE,
            tier="page" if tier == "page" else "notice",
            status="firing" if fired else "escalated",
            severity=severity(tier, verdict.surprise, sources, self._thresholds),
            opened_at=opened,
            at=from_ms(now_ms),
            window_s=verdict.window_s,
            stories=verdict.negative,
            sources=sources,
            expected=round(verdict.expected, 3),
            surprise=round(verdict.surprise, 3),
            threshold=round(limit, 3),
            score=round(verdict.score, 4),
            baseline_score=round(verdict.baseline_score, 4),
            bundle=self.bundle,
            summary=summary(self.name, verdict, sources, evidence, since=decision.fresh),
            would_not_fire=would_not_fire(verdict, self._thresholds.notice, self._settings.min_stories),
            evidence=evidence,
        )

    def _evidence(self, start_ms: int) -> Sequence[AlertEvidence]:
        """The most negative stories of the window, each once."""
        told = [story.evidence for story in self.window.negative_stories(start_ms) if story.evidence is not None]
        told.sort(key=lambda one: (-one.negative, one.seen_at, one.story, one.url))
        return tuple(told[: self._settings.max_evidence])


def horizon_ms(settings: AlertingSettings) -> int:
    """The longest window."""
    return max(settings.windows_s) * 1000


def half_life_ms(settings: AlertingSettings) -> float:
    """Half-life of baselines."""
    return settings.half_life_days * 86_400_000
