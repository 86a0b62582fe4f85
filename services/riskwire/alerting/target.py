"""One target: its window, its baseline, its episode, and how they are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import orjson

from riskwire.alerting.baseline import Baseline, Rate, half_life_ms, prior_of
from riskwire.alerting.calibration import LimitTable, SurpriseLimits
from riskwire.alerting.detectors.adverse import is_adverse
from riskwire.alerting.detectors.cusum import LEARN_MS
from riskwire.alerting.detectors.rate_detector import MAX_SOURCES, Prediction, WindowVerdict
from riskwire.alerting.episode import (
    Episode,
    EpisodeDecision,
    EpisodeMove,
    Thresholds,
    decide,
    is_hot,
    severity,
)
from riskwire.alerting.explain import resolved, summary, would_not_fire
from riskwire.alerting.exposure import Exposure, decay
from riskwire.alerting.slide import Slide, SlideMeasure, SlideSubject
from riskwire.alerting.story_window import StoryWindow, WindowChange
from riskwire.alerting.target_story import MILLION, StoredParts, TargetStory, badness, drivers_of
from riskwire.alerting.trend import nearest_window, nothing_near
from riskwire.records import Alert, AlertEvidence, NearestWindow, Signal, content_id, from_ms
from riskwire.settings import AlertingSettings

SLOT_MS = 900_000
"""Stories and exposure are kept in slots of a quarter of an hour."""
MEMORY_MS = 3 * 86_400_000
"""How long a story is remembered, so that a late reprint does not count as news."""
WORSE_SCORE = 0.1
"""A window is worse when its mean score is this far below the baseline's."""
IDLE_STORIES = 0.02
"""A baseline of fewer stories than this has no effect."""
RULE = "default"
_SURPRISE = attrgetter("surprise")


class Target:
    """The state of one target. It decides when the caller asks, and reads no clock.

    Args:
        stored_parts: the stories of all targets, as the state of the stage holds them.
    """

    def __init__(self, target: str, settings: AlertingSettings, limits: LimitTable, stored_parts: StoredParts) -> None:
        """Begins a target without stories and without a past.

        Args:
            target: its id, such as `entity:acme`.
            limits: the surprise from which spikes and slides notify, by bundle.
            stored_parts: the stories of all targets, as the state of the stage holds them.
        """
        self.target = target
        self.name = target.partition(":")[2]
        self.groups: tuple[str, ...] = ()
        self.weight, self.bundle = 1.0, ""
        self.touched_ms = 0
        """The time of its newest signal."""
        self.baseline = Baseline()
        self.episode: Episode | None = None
        self.slide = Slide()
        self.surprise = 0.0
        self.nearest: NearestWindow | None = None
        """The window nearest to firing, as of the last call of `judge`; None before the first."""
        self.window = StoryWindow(
            target,
            stored_parts,
            slot_ms=SLOT_MS,
            horizon_ms=horizon_ms(settings),
            memory_ms=MEMORY_MS,
            evidence_per_slot=2 * settings.max_evidence,
            max_stories=settings.max_stories,
        )
        self._settings = settings
        self._limits = limits
        self._prior = prior_of(target)
        self._horizon_ms = horizon_ms(settings)
        self._half_life_ms = half_life_ms(settings)

    @property
    def _thresholds(self) -> Thresholds:
        return self._surprise_limits().spike

    def _surprise_limits(self) -> SurpriseLimits:
        """Returns the thresholds as of the newest signal, for its bundle and for how much bad news is usual."""
        weight = decay(self.touched_ms - self.baseline.at, self._half_life_ms)
        return self._limits.of(self.bundle, self.baseline.events * weight)

    def add(self, signal: Signal, at_ms: int) -> WindowChange:
        """Adds a signal and returns what changed: a new article, a new story, a story that turned negative.

        Backfill (published long before it was seen) never enters the window. It teaches the baseline the share and the
        score of stories, and not their rate. It always counts as a new article and story, and never as turned negative,
        so that it never fires.

        Args:
            at_ms: the time of the signal, or the start of the bucket that took a late one.
        """
        self._take_description_from(signal, at_ms)
        if signal.backfill:
            negative = is_adverse(signal, self._settings.negative_from)
            self.baseline.learn(at_ms, 1, int(negative), signal.sentiment.score, 0, self._half_life_ms)
            return WindowChange(new_article=True, new_story=True, turned_negative=False)
        change = self.window.add(signal, at_ms, self._settings.negative_from)
        self.slide.count(change.new_story)
        return change

    def remember(self, signal: Signal, now_ms: int) -> None:
        """Learns a story of the target's history, once, with the weight that it would have if learned at its time.

        The window remembers the story without counting it, so that a reprint does not count. The baseline learns
        nothing from a story that the window knows already. The story of a signal that was backfill when its article
        arrived does not count for the rate.

        Args:
            now_ms: the end of the bucket that is closed; a later time of the signal counts as this time.
        """
        self._take_description_from(signal, now_ms)
        seen_ms = min(round(signal.seen_at.timestamp() * 1000), now_ms)
        if not self.window.remember(signal, seen_ms, now_ms, self._settings.negative_from):
            return
        weight = decay(now_ms - seen_ms, self._half_life_ms)
        negative = weight if is_adverse(signal, self._settings.negative_from) else 0.0
        events = 0.0 if signal.was_backfill else negative
        self.baseline.learn(now_ms, weight, negative, weight * signal.sentiment.score, events, self._half_life_ms)

    def roll(self, now_ms: int) -> bool:
        """Advances the window to `now_ms`; the baseline learns the stories that leave it.

        Returns:
            whether the baseline learned anything.
        """
        learned = False
        for slot in self.window.roll(now_ms):
            self.baseline.learn(slot.at_ms, slot.stories, slot.negative, slot.score, slot.negative, self._half_life_ms)
            learned = True
        return learned

    def judge(
        self, now_ms: int, exposure: Exposure, *, may_notify: bool, told: tuple[int, int] = (0, 0)
    ) -> Alert | None:
        """Returns the alert if the episode fires or escalates, else None. Sets `surprise` and `nearest` as of `now_ms`.

        Surprise is -log10 of the chance of at least as many negative stories, given the target's own past; that of the
        most surprising window counts. An alert begins the episode or updates it. Without an alert, an episode may still
        be marked as hot at `now_ms`, which prolongs it.

        Args:
            exposure: the number of stories of the whole stream.
            may_notify: whether a story turned negative since the last call; without one no alert results.
            told: when the running event alert last notified (ms), and how many stories it has; 0 without one. Only
                later stories can then fire, and those of the event alert count as expected.
        """
        if not may_notify and not self.window.negative_count(now_ms - self._horizon_ms):
            self.surprise = 0.0
            self.nearest = nothing_near(self._settings, self._thresholds.notice)
            return None
        verdicts = self._verdicts(now_ms, exposure, since_ms=0, notified=0)
        self._judged(verdicts)
        if not may_notify:
            return None
        episode = self.episode
        since_notified: list[WindowVerdict] = []
        firing = self._verdicts(now_ms, exposure, since_ms=told[0], notified=told[1]) if told[0] else verdicts
        if episode is not None:
            if is_hot(verdicts, self._thresholds):
                episode.hot_ms = now_ms
            since_notified = self._verdicts(now_ms, exposure, since_ms=episode.notified_ms, notified=episode.negative)
        decision = decide(episode, firing, since_notified, self._thresholds, self._settings.min_stories)
        if decision.move is EpisodeMove.NONE:
            return None
        notified_ms, notified = (episode.notified_ms, episode.negative) if episode else (0, 0)
        alert = self._alert(decision, now_ms, since_ms=notified_ms if decision.since_notified else told[0])
        notified += self.window.negative_count(max(now_ms - self._horizon_ms, notified_ms))
        self.episode = Episode(alert, notified_ms=now_ms, hot_ms=now_ms, negative=notified)
        return alert

    def judge_slide(self, now_ms: int, exposure: Exposure, stories: Sequence[TargetStory]) -> Alert | None:
        """Returns the alert if a slide fires. In the first weeks of a stream there is no past to compare with.

        Args:
            stories: those that turned adverse in the bucket that ends at `now_ms`, and that no event alert counts.
        """
        if not stories or not exposure.began_ms or now_ms - exposure.began_ms < LEARN_MS:
            return None
        past = self.baseline.as_of(now_ms, self._half_life_ms)
        return self.slide.judge(
            SlideSubject(self.target, self.name, self.groups, self.bundle, self.weight),
            now_ms,
            [story.evidence for story in stories],
            SlideMeasure(
                usual=self._rates(past, now_ms, exposure),
                usual_share=past.share(self._prior),
                exposure=exposure.total,
                exposure_of_day=exposure.of_day(now_ms),
                limit=self._surprise_limits().slide,
                min_stories=self._settings.min_stories,
            ),
        )

    def settle(self, now_ms: int, exposure: Exposure) -> bool:
        """Brings the slide up to date once a day; returns whether the state has changed."""
        return not self.slide.is_empty and self.slide.settle(now_ms, exposure.total, exposure.of_day(now_ms))

    def _judged(self, verdicts: Sequence[WindowVerdict]) -> None:
        """Sets `surprise` and `nearest` to what the verdicts on the windows say."""
        self.surprise = max(map(_SURPRISE, verdicts))
        self.nearest = nearest_window(verdicts, self._thresholds.notice, self._settings.min_stories)

    def due_ms(self) -> int | None:
        """When the episode resolves; None without an episode."""
        return None if self.episode is None else self.episode.calm_until_ms(self._settings.calm_s * 1000)

    def resolve(self, at_ms: int, *, blind: bool) -> Alert:
        """Ends the episode and returns its last record, of status `resolved`.

        Args:
            at_ms: the time at which the calm has lasted long enough.
            blind: whether there was too little news to call it calm.
        """
        assert self.episode is not None
        last, self.episode = self.episode.last, None
        return last.model_copy(
            update={
                "status": "resolved",
                "at": from_ms(at_ms),
                "blind": blind,
                "summary": resolved(last.name, self._settings.calm_s, blind, last.summary),
            }
        )

    def stories(self, now_ms: int) -> float:
        """Returns the number of its stories, those of the past decayed."""
        return self.window.count(0) + self.baseline.stories * decay(now_ms - self.baseline.at, self._half_life_ms)

    def is_idle(self, now_ms: int) -> bool:
        """Whether dropping the target has no effect: it has no stories, no running alert, and a faded baseline."""
        faded = self.baseline.as_of(now_ms, self._half_life_ms).stories < IDLE_STORIES
        return not len(self.window) and self.episode is None and self.slide.is_empty and faded

    def encoded(self) -> bytes:
        """Returns the target as bytes of the state, except its stories, which the state holds separately."""
        episode = self.episode
        return orjson.dumps(
            {
                "target": self.target,
                "name": self.name,
                "groups": self.groups,
                "weight": self.weight,
                "bundle": self.bundle,
                "touched": self.touched_ms,
                "learned": self.window.learned_until_ms,
                "surprise": self.surprise,
                "baseline": self.baseline,
                "slide": self.slide.encoded(),
                "episode": episode
                and {
                    "last": episode.last.model_dump(mode="json"),
                    "notified_ms": episode.notified_ms,
                    "hot_ms": episode.hot_ms,
                    "negative": episode.negative,
                },
            }
        )

    def load(self, values: dict[str, Any]) -> None:
        """Restores the target from the JSON values of `encoded`; the caller loads its stories."""
        self.name, self.groups, self.bundle = values["name"], tuple(values["groups"]), values["bundle"]
        self.touched_ms, self.surprise, self.weight = values["touched"], values["surprise"], values.get("weight", 1.0)
        self.window.learned_until_ms = values["learned"]
        self.baseline = Baseline(**values["baseline"])
        self.slide.load(values["slide"])
        if values["episode"]:
            last = Alert.model_validate(values["episode"].pop("last"))
            self.episode = Episode(last, **values["episode"])

    def _take_description_from(self, signal: Signal, at_ms: int) -> None:
        """Takes name, groups, weight and bundle from the newest signal, for the next alert, and its time."""
        self.name, self.groups, self.bundle = signal.name, signal.groups, signal.bundle or self.bundle
        self.weight = self.weight if signal.history else signal.weight
        self.touched_ms = max(self.touched_ms, at_ms)

    def _verdicts(self, now_ms: int, exposure: Exposure, since_ms: int, notified: int) -> list[WindowVerdict]:
        """Returns how surprising each window of the settings is, counting only stories after `since_ms`.

        The number of sources is considered from `min_stories` negative stories on. Share and mean score of a window are
        computed only if its surprise reaches the threshold of a notice.

        Args:
            exposure: the number of stories of the whole stream.
            since_ms: the time of the last notification, or 0.
            notified: the number of negative stories that were notified; the prediction takes them as expected.
        """
        past = self.baseline.as_of(now_ms, self._half_life_ms)
        min_stories, notice = self._settings.min_stories, self._thresholds.notice
        rates = self._rates(past, now_ms, exposure, notified)
        baseline_score = past.mean_score(self._prior)
        baseline_share = past.share(self._prior)
        verdicts = []
        for window_s in self._settings.windows_s:
            start = max(now_ms - window_s * 1000, since_ms)
            negative = self.window.negative_count(start)
            stories = max(exposure.within(now_ms, now_ms - start), negative, 1)
            prediction = Prediction(
                tuple([(rate.weight, rate.shape / rate.stories * stories, rate.shape) for rate in rates])
            )
            if negative >= min_stories:
                prediction = prediction.with_sources(self.window.count_sources(start, MAX_SOURCES))
            verdict = WindowVerdict(window_s, negative, prediction, prediction.surprise(negative), baseline_score)
            if verdict.surprise >= notice:
                verdict = self._with_mood(verdict, start, baseline_share)
            verdicts.append(verdict)
        return verdicts

    def _rates(self, past: Baseline, now_ms: int, exposure: Exposure, notified: int = 0) -> tuple[Rate, ...]:
        """Returns the belief about the rate of negative stories per story of the stream: prior and past combined."""
        return past.rates(self._prior, exposure.before_horizon(now_ms), notified)

    def _with_mood(self, verdict: WindowVerdict, start_ms: int, baseline_share: float) -> WindowVerdict:
        """Returns a verdict with the number of all stories from after `start_ms`, their mean score, and `worse`.

        A window is worse than the baseline if the share of negative stories is larger, or if the mean score is lower by
        more than `WORSE_SCORE`. These matter only once the rate is surprising.
        """
        stories = self.window.count(start_ms)
        balance = sum(story.balance for story in self.window.stories(start_ms))
        score = balance / MILLION / max(stories, 1)
        worse = verdict.negative > baseline_share * stories or score < verdict.baseline_score - WORSE_SCORE
        return replace(verdict, stories=stories, score=score, worse=worse)

    def _alert(self, decision: EpisodeDecision, now_ms: int, since_ms: int) -> Alert:
        """Returns the alert that a decision to fire or to escalate leads to.

        Args:
            decision: the move, with the tier (notice or page) and the verdict on the most surprising window.
            since_ms: only stories from after this time count, if it lies in the window.
        """
        verdict, tier = decision.verdict, decision.tier
        assert verdict is not None
        assert tier is not None
        fires = decision.move is EpisodeMove.FIRE
        start = max(now_ms - verdict.window_s * 1000, since_ms)
        sources = len(set().union(*(story.sources for story in self.window.negative_stories(start))))
        opened = from_ms(now_ms) if self.episode is None else self.episode.last.opened_at
        evidence = self._evidence(start)
        drivers = drivers_of(filter(None, (story.evidence for story in self.window.negative_stories(start))))
        limit = self._thresholds.page if verdict.surprise >= self._thresholds.page else self._thresholds.notice
        return Alert(
            id=content_id("alert", self.target, RULE, opened.isoformat()),
            target=self.target,
            name=self.name,
            groups=self.groups,
            rule=RULE,
            tier="page" if tier == "page" else "notice",
            status="firing" if fires else "escalated",
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
            summary=summary(self.name, verdict, sources, evidence, drivers, since_notified=decision.since_notified),
            would_not_fire=would_not_fire(verdict, self._thresholds.notice, self._settings.min_stories),
            evidence=evidence,
            drivers=drivers,
            weight=self.weight,
        )

    def _evidence(self, start_ms: int) -> Sequence[AlertEvidence]:
        """Returns the evidence of stories that turned negative after `start_ms`, the most adverse first.

        At most `max_evidence` of the settings are returned. Stories without stored evidence are left out.
        """
        negative = self.window.negative_stories(start_ms)
        evidence = [shown for story in negative if (shown := story.evidence) is not None]
        evidence.sort(key=lambda item: (-badness(item), item.seen_at, item.story, item.url))
        return tuple(evidence[: self._settings.max_evidence])


def horizon_ms(settings: AlertingSettings) -> int:
    """The length of the longest window."""
    return max(settings.windows_s) * 1000
