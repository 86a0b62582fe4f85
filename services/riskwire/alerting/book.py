"""All that is kept of one partition of `signals`, and what happens as its buckets close.

Signals wait in their bucket. When a bucket closes they are taken in one canonical order (target, time, article,
version), so that what comes out does not depend on the order in which they came, nor on how batches were cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

import orjson

from riskwire import metrics
from riskwire.alerting.clock import Clock
from riskwire.alerting.detector import threshold
from riskwire.alerting.episode import Thresholds
from riskwire.alerting.exposure import Exposure
from riskwire.alerting.target import SLOT_MS, Target, half_life_ms, horizon_ms
from riskwire.alerting.trend import TREND_MS, Minute
from riskwire.records import SIGNALS, Alert, Mark, Signal, TrendPoint, read_record
from riskwire.settings import AlertingSettings

DAY_MS = 86_400_000
_IN_ORDER = attrgetter("target", "seen_at", "article", "version", "history")


@dataclass(slots=True)
class Outcome:
    """What closing buckets brought, and what changed in the state (None: gone)."""

    trends: list[TrendPoint] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    state: dict[str, bytes | None] = field(default_factory=dict)


class Book:
    """The state of one partition. State keys: `clock`, `exposure`, `exposure/<slot>`, `target/<target>`,
    `stories/<slot>/<target>` and, for further parts of a slot of many stories, `stories/<slot>.<part>/<target>`,
    `minute/<start>/<target>`, and `pending/…` for signals whose bucket is open."""

    def __init__(self, settings: AlertingSettings, article_partitions: int, state: Mapping[str, bytes]) -> None:
        self._settings = settings
        self._thresholds = Thresholds(
            threshold(settings.budget.notice, settings.windows_s), threshold(settings.budget.page, settings.windows_s)
        )
        self._clock = Clock(article_partitions, settings.bucket_s * 1000, settings.lateness_s * 1000)
        self._exposure = Exposure(SLOT_MS, horizon_ms(settings), half_life_ms(settings))
        self._targets: dict[str, Target] = {}
        self._minutes: dict[tuple[int, str], Minute] = {}
        self._pending: dict[int, dict[str, Signal]] = {}
        self._pending_exposure: dict[int, int] = {}
        self._new_pending: dict[str, Signal] = {}
        self._saved_pending: set[str] = set()
        self._saved_minutes: set[tuple[int, str]] = set()
        self._changed: set[str] = set()
        self._changed_minutes: set[tuple[int, str]] = set()
        self._running: set[str] = set()
        """Targets with an episode."""
        self._swept_ms = 0
        self._load(state)

    @property
    def targets(self) -> Mapping[str, Target]:
        """The targets followed."""
        return self._targets

    def take(self, record: Signal | Mark) -> None:
        """Take a record; nothing comes of it before `close`."""
        if isinstance(record, Mark):
            self._clock.advance(record.from_, _ms(record))
            for start_s, stories in record.buckets.items():
                bucket = self._clock.bucket_of(start_s * 1000)
                self._pending_exposure[bucket] = self._pending_exposure.get(bucket, 0) + stories
            return
        seen = _ms(record)
        if self._clock.is_late(seen) and not record.history:
            metrics.LATE_SIGNALS.inc()
        bucket = self._clock.bucket_of(seen)
        key = f"pending/{bucket}/{record.target}\n{record.article}\n{record.version}"
        if record.history:
            key += "\nhistory"
        self._pending.setdefault(bucket, {})[key] = record
        if key not in self._saved_pending:
            self._new_pending[key] = record

    def close(self) -> Outcome:
        """Close every bucket that may close, in order, and carry out what falls due between them."""
        outcome = Outcome()
        until = self._clock.closable_until()
        buckets = sorted({bucket for bucket in (*self._pending, *self._pending_exposure) if bucket < until})
        for bucket in buckets:
            self._resolve_due(bucket, outcome)
            self._sweep(bucket, outcome)
            self._close_bucket(bucket, outcome)
        self._resolve_due(until, outcome)
        self._clock.closed_until = until
        self._close_minutes(until, outcome)
        self._save(outcome)
        return outcome

    def _close_bucket(self, bucket: int, outcome: Outcome) -> None:
        end = bucket + self._clock.bucket_ms
        for slot in self._exposure.roll(end):
            outcome.state[f"exposure/{slot}"] = None
        stories = self._pending_exposure.pop(bucket, 0)
        if stories:
            slot = self._exposure.add(bucket, stories)
            outcome.state[f"exposure/{slot}"] = str(self._exposure.slots[slot]).encode()
        signals = sorted(self._no_longer_pending(bucket, outcome), key=_IN_ORDER)
        turned: dict[str, bool] = {}
        rolled: set[str] = set()
        for signal in signals:
            target = self._target(signal.target)
            if signal.target not in rolled:
                rolled.add(signal.target)
                target.roll(end)
            if signal.history:
                target.remember(signal, end)
                self._changed.add(signal.target)
                continue
            at = max(_ms(signal), bucket)
            change = target.add(signal, at)
            turned[signal.target] = turned.get(signal.target, False) or change.negative
            self._minute(signal.target, at).add(signal, change)
        for name, may_notify in turned.items():
            target = self._targets[name]
            alert = target.judge(end, self._exposure, may_notify=may_notify)
            self._changed.add(name)
            minute = self._minute(name, bucket)
            minute.surprise = max(minute.surprise, target.surprise)
            if alert is not None:
                self._running.add(name)
                outcome.alerts.append(alert)

    def _no_longer_pending(self, bucket: int, outcome: Outcome) -> Iterable[Signal]:
        """The signals of a bucket that closes, taken out of what waits and of the state."""
        signals = self._pending.pop(bucket, {})
        for key in signals:
            if key in self._saved_pending:
                self._saved_pending.discard(key)
                outcome.state[key] = None
            else:
                del self._new_pending[key]
        return signals.values()

    def _minute(self, target: str, at_ms: int) -> Minute:
        """The minute of a target that is about to be changed."""
        start = at_ms // TREND_MS * TREND_MS
        key = (start, target)
        self._changed_minutes.add(key)
        minute = self._minutes.get(key)
        if minute is None:
            minute = self._minutes[key] = Minute(target, start)
        return minute

    def _resolve_due(self, until: int, outcome: Outcome) -> None:
        """Resolve the episodes whose calm ends by `until`, each at its own time, in order."""
        due = sorted(
            (at, name) for name in self._running if (at := self._targets[name].due_ms()) is not None and at <= until
        )
        for at, name in due:
            recent = self._exposure.within(at, self._settings.blind_after_s * 1000)
            outcome.alerts.append(self._targets[name].resolve(at, blind=recent == 0))
            self._running.discard(name)
            self._changed.add(name)

    def _close_minutes(self, until: int, outcome: Outcome) -> None:
        for key in sorted(key for key in self._minutes if key[0] + TREND_MS <= until):
            outcome.trends.append(self._minutes.pop(key).point())
            self._changed_minutes.discard(key)
            if key in self._saved_minutes:
                self._saved_minutes.discard(key)
                outcome.state[_minute_key(key)] = None

    def _target(self, name: str) -> Target:
        target = self._targets.get(name)
        if target is None:
            target = self._targets[name] = Target(name, self._settings, self._thresholds)
        return target

    def _sweep(self, now_ms: int, outcome: Outcome) -> None:
        """Forget targets: each new day of stream time those of which nothing is left, at any time the quietest of too
        many. Days are told by buckets, so every run sweeps at the same place."""
        day = now_ms // DAY_MS * DAY_MS
        if day > self._swept_ms:
            self._swept_ms = day
            for name, target in list(self._targets.items()):
                target.roll(day)
                if target.window.dirty:
                    self._changed.add(name)
                if target.is_idle(day):
                    self._forget(name, outcome)
        too_many = len(self._targets) - self._settings.max_targets
        if too_many > 0:
            quiet = sorted(self._targets.values(), key=lambda target: (target.touched_ms, target.target))
            for target in [target for target in quiet if target.episode is None][:too_many]:
                metrics.DROPPED_TARGETS.inc()
                self._forget(target.target, outcome)

    def _forget(self, name: str, outcome: Outcome) -> None:
        target = self._targets.pop(name)
        self._changed.discard(name)
        for slot, part in target.window.forget_all():
            outcome.state[_stories_key(slot, part, name)] = None
        outcome.state[f"target/{name}"] = None

    def _save(self, outcome: Outcome) -> None:
        state = outcome.state
        for name in self._changed:
            target = self._targets[name]
            for slot, part in target.window.dirty:
                state[_stories_key(slot, part, name)] = target.window.encoded(slot, part)
            target.window.dirty.clear()
            state[f"target/{name}"] = target.encoded()
        self._changed.clear()
        for key in self._changed_minutes:
            state[_minute_key(key)] = self._minutes[key].encoded()
        self._saved_minutes |= self._changed_minutes
        self._changed_minutes.clear()
        for waiting, signal in self._new_pending.items():
            state[waiting] = signal.to_bytes()
        self._saved_pending.update(self._new_pending)
        self._new_pending.clear()
        state["clock"] = orjson.dumps(
            {
                "marks": {str(partition): at for partition, at in self._clock.marks.items()},
                "closed_until": self._clock.closed_until,
                "exposure": {str(bucket): stories for bucket, stories in self._pending_exposure.items()},
                "swept": self._swept_ms,
            }
        )
        state["exposure"] = orjson.dumps([self._exposure.past, self._exposure.past_at])

    def _load(self, state: Mapping[str, bytes]) -> None:
        if "clock" in state:
            clock = orjson.loads(state["clock"])
            self._clock.marks = {int(partition): at for partition, at in clock["marks"].items()}
            self._clock.closed_until = clock["closed_until"]
            self._pending_exposure = {int(bucket): stories for bucket, stories in clock["exposure"].items()}
            self._swept_ms = clock["swept"]
            self._exposure.past, self._exposure.past_at = orjson.loads(state["exposure"])
        for key, raw in state.items():
            kind, _, rest = key.partition("/")
            if kind == "exposure" and rest:
                self._exposure.slots[int(rest)] = int(raw)
            elif kind == "target":
                target = self._target(rest)
                target.load(raw)
                if target.episode is not None:
                    self._running.add(rest)
            elif kind == "stories":
                place, _, name = rest.partition("/")
                slot, _, part = place.partition(".")
                self._target(name).window.load(int(slot), int(part or 0), raw)
            elif kind == "minute":
                minute = Minute.decoded(raw)
                self._minutes[minute.start_ms, minute.target] = minute
                self._saved_minutes.add((minute.start_ms, minute.target))
            elif kind == "pending":
                bucket = int(rest.partition("/")[0])
                signal = read_record(SIGNALS, raw, where=f"state {key}")
                assert isinstance(signal, Signal)
                self._pending.setdefault(bucket, {})[key] = signal
                self._saved_pending.add(key)


def _ms(record: Signal | Mark) -> int:
    return round(record.seen_at.timestamp() * 1000)


def _stories_key(slot: int, part: int, target: str) -> str:
    return f"stories/{slot}.{part}/{target}" if part else f"stories/{slot}/{target}"


def _minute_key(key: tuple[int, str]) -> str:
    return f"minute/{key[0]}/{key[1]}"
