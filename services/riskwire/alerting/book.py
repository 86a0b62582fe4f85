"""The state of one partition of `signals`, and what follows when its buckets close.

Signals wait in their bucket. When a bucket closes, they are taken in one canonical order (target, time, article,
version). So the results depend neither on the order in which signals arrived nor on how batches were cut.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter

import orjson

from riskwire.alerting.baseline import half_life_ms
from riskwire.alerting.calibration import AchievedRate, LimitTable, RateLog, achieved_rates, counts, expected_rates
from riskwire.alerting.clock import BucketClock
from riskwire.alerting.events import EventRules, EventWatch, load_rules
from riskwire.alerting.exposure import Exposure
from riskwire.alerting.target import IDLE_STORIES, SLOT_MS, Target, horizon_ms
from riskwire.alerting.target_story import StoredParts, TargetStory
from riskwire.alerting.trend import TREND_MS, TrendMinute, minute_key
from riskwire.records import SIGNALS, Alert, Mark, NearMiss, Signal, TrendPoint, read_record
from riskwire.settings import AlertingSettings
from riskwire.stage import KeyedState

DAY_MS = 86_400_000
_CLOCK = "clock"
_CANONICAL_ORDER = attrgetter("target", "seen_at", "article", "version", "history")


@dataclass(slots=True)
class BookStep:
    """The output of closing buckets: records to publish, changes of the state, and counts for the metrics.

    Attributes:
        state: changes of the state; None deletes a key.
        late_signals: signals since the last step whose bucket had closed.
        dropped_targets: targets that were dropped because there were too many.
        rates_changed: whether `Book.rates` may have changed.
    """

    trends: list[TrendPoint] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    near_misses: list[NearMiss] = field(default_factory=list)
    state: dict[str, bytes | None] = field(default_factory=dict)
    late_signals: int = 0
    dropped_targets: int = 0
    rates_changed: bool = False


class Book:
    """The alerting state of one partition of `signals`: targets, stories, pending signals and the stream clock.

    A bucket is an interval of `bucket_s` seconds of stream time, named by its start in epoch milliseconds. Signals
    wait in their bucket until it closes, which means that no more signals are expected for it. Trends are summed by
    minute, whatever the length of a bucket.

    State: `clock`, `exposure` and `exposure/SLOT`, `target/TARGET`, `events/TARGET` (what a target was notified of),
    `stories/SLOT.PART/TARGET` (stories of a target, in parts), `minute/START/TARGET` (minutes that have not ended),
    `pending/BUCKET/…` (signals of open buckets), `rates/PARTITION/DAY` (notifications of a day).
    """

    def __init__(
        self,
        settings: AlertingSettings,
        article_partitions: int,
        state: Mapping[str, bytes],
        rules: EventRules | None = None,
        limits: LimitTable | None = None,
        partition: int = 0,
    ) -> None:
        """Restores a book from the committed state of its partition of `signals`; an empty state begins a new one.

        Args:
            article_partitions: the number of partitions of `articles`, each of which sends marks.
            rules: the rules of event alerts; None for those that the settings name.
            limits: the surprise from which spikes and slides notify; None for that of the calibration that the
                settings name.
            partition: the number of the partition, which names its part of the counts of notifications.
        """
        self._settings = settings
        self._limits = LimitTable.from_settings(settings) if limits is None else limits
        self._clock = BucketClock(article_partitions, settings.bucket_s * 1000, settings.lateness_s * 1000)
        self._swept_ms = 0
        """The day on which idle targets were last dropped."""
        self._exposure = Exposure(
            state, slot_ms=SLOT_MS, horizon_ms=horizon_ms(settings), half_life_ms=half_life_ms(settings)
        )
        self._parts = StoredParts(state)
        self._targets = KeyedState("target/", state, encode=Target.encoded, decode=self._decoded_target)
        rules = rules or load_rules(settings.rules)
        self._events, self._weights = EventWatch(settings, rules, state), rules.weights
        self._rates = RateLog(partition, state)
        self._minutes = KeyedState("minute/", state, encode=TrendMinute.encoded, decode=TrendMinute.decoded)
        self._pending = KeyedState("pending/", state, encode=Signal.to_bytes, decode=_decoded_signal)
        self._pending_by_bucket: dict[int, dict[str, None]] = {}
        """Keys of the pending signals."""
        self._late_signals = 0
        self._due_from_ms = 0
        """No running alert ends before this time. A new alert, or a new day, sets it back."""
        self._restore(state)

    @property
    def targets(self) -> Mapping[str, Target]:
        """The targets that are followed, by id."""
        return self._targets.entries

    @property
    def rates(self) -> list[AchievedRate]:
        """How often spikes, slides and events notified in the last days, beside what the budget allows."""
        return list(achieved_rates(self._rates.days, expected_rates(self._settings.budget)))

    def take(self, record: Signal | Mark) -> None:
        """Takes a record of `signals`. It has no effect on trends and alerts before `close`.

        A mark states how far a partition of `articles` has been read, and how many stories it had in each bucket. A
        signal waits in the bucket of its time; if that has closed, it is late and waits in the oldest open one. Late
        signals are counted, except history (the past of a newly watched target). A repeated signal replaces the waiting
        one.
        """
        seen_ms = _ms(record)
        if isinstance(record, Mark):
            self._clock.advance(record.from_, seen_ms)
            for start_s, stories in record.buckets.items():
                self._exposure.add(self._clock.bucket_of(start_s * 1000), stories)
            return
        if self._clock.is_late(seen_ms) and not record.history:
            self._late_signals += 1
        bucket = self._clock.bucket_of(seen_ms)
        key = f"{bucket}/{record.target}\n{record.article}\n{record.version}"
        if record.history:
            key += "\nhistory"
        self._pending.set(key, record)
        self._pending_by_bucket.setdefault(bucket, {})[key] = None

    def close(self) -> BookStep:
        """Closes, in order, every bucket that no partition can still add to, and returns the output.

        The output is trends of ended minutes, alerts, counts, and the changes of the state since the last call.
        Episodes (running alerts) that have been calm long enough are resolved between the buckets, at their own time.
        """
        step = BookStep(late_signals=self._late_signals)
        self._late_signals = 0
        until_ms = self._clock.closable_until_ms()
        buckets = {*self._pending_by_bucket, *self._exposure.open_buckets}
        pending, exposure, bucket_ms = self._pending_by_bucket, self._exposure, self._clock.bucket_ms
        for bucket in sorted([bucket for bucket in buckets if bucket < until_ms]):
            if bucket >= self._due_from_ms:
                self._resolve_due(bucket, step)
            if bucket >= self._swept_ms + DAY_MS or len(self._targets) > self._settings.max_targets:
                self._drop_targets(bucket, step)
            exposure.close(bucket, bucket + bucket_ms)
            if bucket not in pending:  # most buckets have news of the stream, and no signal of this partition
                continue
            alerts = len(step.alerts)
            self._close_bucket(bucket, step)
            if len(step.alerts) > alerts:
                self._due_from_ms = 0
        self._resolve_due(until_ms, step)
        self._clock.closed_until_ms = until_ms
        self._close_minutes(until_ms, step)
        step.alerts = [self._weights.applied(alert) for alert in step.alerts]
        for alert in step.alerts:
            self._rates.add(alert)
            step.rates_changed = True
        step.state = self._take_changes()
        return step

    def _close_bucket(self, bucket: int, step: BookStep) -> None:
        """Applies the pending signals of a bucket to their targets, then judges each target that had news.

        A bucket is an interval of stream time. Signals of history only teach a target its past: they are not judged and
        count in no trend. A late signal counts at the start of the bucket. Event alerts are decided first. A spike or
        slide may fire only if a story turned negative that no event alert counts. Alerts are added to `step`.

        Args:
            bucket: the start of the bucket in epoch ms.
        """
        end_ms = bucket + self._clock.bucket_ms
        turned_negative: dict[str, list[TargetStory]] = {}
        rolled: set[str] = set()
        counted: set[str] = set()
        remembered: dict[str, None] = {}
        for signal in self._take_pending(bucket):
            target = self._target(signal.target)
            if signal.target not in rolled:
                rolled.add(signal.target)
                target.roll(end_ms)
                self._targets.touch(signal.target)
            if signal.history:
                target.remember(signal, end_ms)
                if self._events.concerns(signal):
                    self._events.consider(signal, None, end_ms)
                    remembered[signal.target] = None
                continue
            at_ms = max(_ms(signal), bucket)
            change = target.add(signal, at_ms)
            if self._events.concerns(signal):
                self._events.consider(signal, change.story, end_ms)
            stories = turned_negative.setdefault(signal.target, [])
            if change.turned_negative and change.story is not None:
                stories.append(change.story)
            if not signal.backfill:  # the store counts backfill when it was published
                self._minute(signal.target, at_ms).add(signal, change)
                counted.add(signal.target)
        for name in [name for name in remembered if name not in turned_negative]:
            self._close_events(name, end_ms, step)
        for name, stories in turned_negative.items():
            target = self._targets[name]
            self._close_events(name, end_ms, step)
            unexplained = [story for story in stories if not story.joined]
            notified = self._events.notified(name)
            alert = target.judge(end_ms, self._exposure, may_notify=bool(unexplained), told=notified)
            slide = target.judge_slide(end_ms, self._exposure, unexplained)
            if name in counted:
                self._minute(name, bucket).judged(target.surprise, target.nearest)
            if alert is not None:
                self._alerting.add(name)
                step.alerts.append(alert)
            if slide is not None:
                self._sliding.add(name)
                step.alerts.append(slide)

    def _close_events(self, name: str, end_ms: int, step: BookStep) -> None:
        """Adds the event alerts and near misses of a target in the bucket that ends at `end_ms` to `step`."""
        alerts, near_misses = self._events.close(name, end_ms)
        step.alerts += alerts
        step.near_misses += near_misses

    def _take_pending(self, bucket: int) -> list[Signal]:
        """Removes the pending signals of a bucket and returns them by target, time, article and version.

        This order does not depend on the order of arrival.
        """
        keys = self._pending_by_bucket.pop(bucket)
        signals = sorted([self._pending[key] for key in keys], key=_CANONICAL_ORDER)
        for key in keys:
            self._pending.delete(key)
        return signals

    def _minute(self, target: str, at_ms: int) -> TrendMinute:
        """Returns the trend sums of a target for the minute of `at_ms`, empty ones at first. The caller adds to them.

        The minute is marked as changed for the state.
        """
        start_ms = at_ms // TREND_MS * TREND_MS
        key = minute_key(target, start_ms)
        minute = self._minutes.get(key)
        if minute is None:
            minute = TrendMinute(target, start_ms)
            self._minutes.set(key, minute)
        else:
            self._minutes.touch(key)
        return minute

    def _resolve_due(self, until_ms: int, step: BookStep) -> None:
        """Resolves the episodes (running alerts) whose calm ends by `until_ms`, each at its own time, in order.

        The alerts of status `resolved` are added to `step`. They are `blind` if the whole stream had no stories in the
        last `blind_after_s` seconds, so that the calm proves nothing.
        """
        if until_ms < self._due_from_ms:
            return
        running = [(self._targets[name].due_ms(), name, "spike") for name in self._alerting]
        running += [(self._targets[name].slide.due_ms(), name, "slide") for name in self._sliding]
        running += [(at_ms, name, "event") for at_ms, name in self._events.due()]
        known = [(at_ms, name, kind) for at_ms, name, kind in running if at_ms is not None]
        due = [(at_ms, name, kind) for at_ms, name, kind in known if at_ms <= until_ms]
        self._due_from_ms = min([at_ms for at_ms, _, _ in known if at_ms > until_ms], default=sys.maxsize)
        for at_ms, name, kind in sorted(due):
            recent = self._exposure.within(at_ms, self._settings.blind_after_s * 1000)
            if kind == "event":
                step.alerts.append(self._events.resolve(name, at_ms, blind=recent == 0))
                continue
            target = self._targets[name]
            if kind == "slide":
                step.alerts.append(target.slide.resolve(at_ms, blind=recent == 0))
                self._sliding.discard(name)
            else:
                step.alerts.append(target.resolve(at_ms, blind=recent == 0))
                self._alerting.discard(name)
            self._targets.touch(name)

    def _close_minutes(self, until_ms: int, step: BookStep) -> None:
        """Adds the trend point of each minute that has ended by `until_ms` to `step`, and deletes the minute."""
        ended = [minute for minute in self._minutes.entries.values() if minute.end_ms <= until_ms]
        for minute in sorted(ended, key=attrgetter("start_ms", "target")):
            step.trends.append(minute.point())
            self._minutes.delete(minute.key)

    def _target(self, name: str) -> Target:
        """Returns a target by its id, such as `entity:acme`; creates it at its first signal."""
        target = self._targets.get(name)
        if target is None:
            target = self._new_target(name)
            self._targets.set(name, target)
        return target

    def _new_target(self, name: str) -> Target:
        return Target(name, self._settings, self._limits, self._parts)

    def _drop_targets(self, now_ms: int, step: BookStep) -> None:
        """Drops idle targets once a day of stream time, and the longest silent ones whenever there are too many.

        An idle target has no stories, no episode and a faded baseline. A target with a running episode is never
        dropped. Targets dropped for their number are counted in `step`. The day is that of the bucket, so that every
        run drops targets at the same place of the log.
        """
        day_ms = now_ms // DAY_MS * DAY_MS
        if day_ms > self._swept_ms:
            self._sweep(day_ms)
            step.rates_changed = True
        surplus = len(self._targets) - self._settings.max_targets
        if surplus > 0:
            by_silence = sorted(self._targets.entries.values(), key=attrgetter("touched_ms", "target"))
            free = [
                target
                for target in by_silence
                if target.episode is None and not target.slide.is_running and not self._events.is_running(target.target)
            ]
            for target in free[:surplus]:
                step.dropped_targets += 1
                self._drop(target)

    def _sweep(self, day_ms: int) -> None:
        """Counts the followed parties at the end of a day, and drops idle targets."""
        self._events.forget(day_ms)
        followed = 0
        for name, target in list(self._targets.entries.items()):
            stories = target.stories(day_ms)
            followed += counts(name, stories)
            learned = not target.window.is_rolled(day_ms) and target.roll(day_ms)
            if target.settle(day_ms, self._exposure) or learned:
                self._targets.touch(name)
            if stories < IDLE_STORIES and target.is_idle(day_ms) and name not in self._events:
                self._drop(target)
        self._rates.close_days(self._swept_ms // DAY_MS, day_ms // DAY_MS, followed)
        self._swept_ms = day_ms
        self._due_from_ms = 0

    def _drop(self, target: Target) -> None:
        """Removes a target with its stories and event state from the state."""
        target.window.clear()
        self._events.drop(target.target)
        self._targets.delete(target.target)

    def _take_changes(self) -> dict[str, bytes | None]:
        """Returns the changes of the whole state since the last call, by key; None deletes a key."""
        clock = {
            "marks": {str(partition): at_ms for partition, at_ms in self._clock.marks.items()},
            "closed_until": self._clock.closed_until_ms,
            "swept": self._swept_ms,
        }
        return {
            _CLOCK: orjson.dumps(clock),
            **self._exposure.take_changes(),
            **self._targets.take_changes(),
            **self._events.take_changes(),
            **self._parts.take_changes(),
            **self._rates.take_changes(),
            **self._minutes.take_changes(),
            **self._pending.take_changes(),
        }

    def _restore(self, state: Mapping[str, bytes]) -> None:
        """Restores the clock, the stories of each target and the keys of pending signals from the committed state."""
        if _CLOCK in state:
            clock = orjson.loads(state[_CLOCK])
            self._clock.marks = {int(partition): at_ms for partition, at_ms in clock["marks"].items()}
            self._clock.closed_until_ms = clock["closed_until"]
            self._swept_ms = clock["swept"]
        for part in self._parts.entries.values():
            self._targets[part.target].window.load(part)
        for key in self._pending:
            bucket = int(key.partition("/")[0])
            self._pending_by_bucket.setdefault(bucket, {})[key] = None
        self._alerting = {name for name, target in self._targets.entries.items() if target.episode is not None}
        """Targets with a running spike."""
        self._sliding = {name for name, target in self._targets.entries.items() if target.slide.is_running}

    def _decoded_target(self, raw: bytes) -> Target:
        """Returns a target from the bytes of the state, without its stories, which the state holds separately."""
        values = orjson.loads(raw)
        target = self._new_target(values["target"])
        target.load(values)
        return target


def _decoded_signal(raw: bytes) -> Signal:
    """Returns a signal from the bytes of the state."""
    signal = read_record(SIGNALS, raw, where="a pending signal of the state")
    assert isinstance(signal, Signal)
    return signal


def _ms(record: Signal | Mark) -> int:
    """Returns the time of a record in epoch milliseconds."""
    return round(record.seen_at.timestamp() * 1000)
