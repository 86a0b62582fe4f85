"""How much news there is: the stories of the whole stream, by slot of stream time, and their decayed sum.

A target's rate is measured per story of the stream, not per hour. So more feeds, fewer feeds, nights, weekends and a
backlog change what is expected, and are no bad news about a target (decision 0019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from riskwire.stage import KeyedState

_DAY_MS = 86_400_000


@dataclass(slots=True)
class ExposureSlot:
    """The stories of the stream in one slot."""

    start_ms: int
    stories: int

    def encoded(self) -> bytes:
        """Returns the slot as bytes of the state."""
        return orjson.dumps([self.start_ms, self.stories])

    @classmethod
    def decoded(cls, raw: bytes) -> ExposureSlot:
        """Returns the slot that `encoded` gave."""
        return cls(*orjson.loads(raw))


class Exposure:
    """Exposure: the number of stories of the whole stream, against which the stories of a target are measured.

    It consists of the stories of open buckets, of the slots (quarters of an hour) inside the horizon, which is the
    longest window, and of the decayed sum of older slots.

    State: `exposure` for the open buckets and the decayed sum, `exposure/SLOT` for each slot.
    """

    KEY = "exposure"

    def __init__(self, state: Mapping[str, bytes], *, slot_ms: int, horizon_ms: int, half_life_ms: float) -> None:
        """Restores the exposure (the number of stories of the whole stream over time) from the committed state.

        Args:
            slot_ms: the length of a slot, in which stories are counted.
            horizon_ms: how long slots are stored one by one, before they enter the decayed sum of the past.
            half_life_ms: the time in which the past loses half of its weight.
        """
        self.open_buckets: dict[int, int] = {}
        """Stories of the buckets that are not closed."""
        self._slot_ms = slot_ms
        self._horizon_ms = horizon_ms
        self._half_life_ms = half_life_ms
        self._slots = KeyedState(f"{self.KEY}/", state, encode=ExposureSlot.encoded, decode=ExposureSlot.decoded)
        self.total = 0
        """Stories of all closed buckets, which never decay."""
        self.began_ms = 0
        """The start of the first bucket with a story; 0 before."""
        self._past = 0.0
        """Decayed stories of the slots that have left the horizon, as of `_past_at_ms`."""
        self._past_at_ms = 0
        self._since: dict[int, int] = {}
        """Stories from the start of a slot on, for the starts that `within` was asked for: every target of a bucket
        asks for the same windows."""
        self._oldest_ms = self._newest_ms = 0
        """The start of the oldest slot or earlier, and of the newest one or later."""
        if self.KEY in state:
            values = orjson.loads(state[self.KEY])
            self.open_buckets = {int(bucket): stories for bucket, stories in values["open"].items()}
            self._past, self._past_at_ms = values["past"], values["past_at"]
            self.total, self.began_ms = values["total"], values["began"]
            self._newest_ms = max([slot.start_ms for slot in self._slots.entries.values()], default=0)

    def add(self, bucket_ms: int, stories: int) -> None:
        """Adds stories to an open bucket."""
        self.open_buckets[bucket_ms] = self.open_buckets.get(bucket_ms, 0) + stories

    def close(self, bucket_ms: int, end_ms: int) -> None:
        """Adds the stories of a closed bucket to its slot, after moving slots that have left the horizon to the past.

        Args:
            bucket_ms: the start of the bucket.
            end_ms: the end of the bucket, which is the time of the move.
        """
        if end_ms >= self._oldest_ms + self._horizon_ms + self._slot_ms:
            self._roll(end_ms)
        stories = self.open_buckets.pop(bucket_ms, 0)
        if not stories:
            return
        self.total += stories
        self.began_ms = self.began_ms or bucket_ms
        start_ms = bucket_ms // self._slot_ms * self._slot_ms
        key = str(start_ms)
        slot = self._slots.get(key)
        if slot is None:
            self._slots.set(key, ExposureSlot(start_ms, stories))
        else:
            slot.stories += stories
            self._slots.touch(key)
        self._newest_ms = max(self._newest_ms, start_ms)
        for since_ms in self._since:
            if since_ms <= start_ms:
                self._since[since_ms] += stories

    def within(self, now_ms: int, window_ms: int) -> int:
        """Returns the number of stories of the whole stream in the last `window_ms`.

        They are counted by whole slots (quarters of an hour), from the slot in which the window begins. Stories of open
        buckets are not included.
        """
        since_ms = (now_ms - window_ms) // self._slot_ms * self._slot_ms
        stories = self._since.get(since_ms) if now_ms > self._newest_ms else None
        if stories is None:
            slots = self._slots.entries.values()
            stories = sum([slot.stories for slot in slots if since_ms <= slot.start_ms < now_ms])
            if now_ms > self._newest_ms:
                self._since[since_ms] = stories
        return stories

    def of_day(self, now_ms: int) -> float:
        """Returns the number of stories of the whole stream in a day, as in the horizon before `now_ms`."""
        return self.within(now_ms, self._horizon_ms) * _DAY_MS / self._horizon_ms

    def before_horizon(self, now_ms: int) -> float:
        """Returns the number of stories before the horizon (the longest window), each halved once per half-life."""
        return self._past * decay(now_ms - self._past_at_ms, self._half_life_ms)

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the changes of the state since the last call; open buckets and the past are always included."""
        values = {
            "open": {str(bucket): stories for bucket, stories in self.open_buckets.items()},
            "past": self._past,
            "past_at": self._past_at_ms,
            "total": self.total,
            "began": self.began_ms,
        }
        return {self.KEY: orjson.dumps(values), **self._slots.take_changes()}

    def _roll(self, now_ms: int) -> None:
        """Moves the slots that have left the horizon by `now_ms` into the decayed sum of the past, oldest first.

        A slot is a quarter of an hour of stream time; the horizon is the length of the longest window. The sum halves
        once per half-life, and each slot is added at the time when it left.
        """
        last_start = now_ms - self._horizon_ms - self._slot_ms
        self._since = {}
        expired = [slot for slot in self._slots.entries.values() if slot.start_ms <= last_start]
        for slot in sorted(expired, key=lambda slot: slot.start_ms):
            left_at_ms = slot.start_ms + self._slot_ms + self._horizon_ms
            self._past = self._past * decay(left_at_ms - self._past_at_ms, self._half_life_ms) + slot.stories
            self._past_at_ms = left_at_ms
            self._slots.delete(str(slot.start_ms))
        starts = [slot.start_ms for slot in self._slots.entries.values()]
        self._oldest_ms = min(starts, default=now_ms - self._horizon_ms)


def decay(elapsed_ms: float, half_life_ms: float) -> float:
    """The weight that remains after `elapsed_ms`: halved once per half-life; 1 for no or negative time."""
    return 1.0 if elapsed_ms <= 0 else float(2.0 ** (-elapsed_ms / half_life_ms))
