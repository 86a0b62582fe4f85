"""How much news there was: the stories analysed altogether, by slot of stream time, and their decayed sum.

A target's rate is measured per story of the whole stream, not per hour. So more feeds, fewer feeds, nights, weekends
and a backlog caught up change what is expected, and are no news in themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Exposure:
    """Stories of the stream: whole slots inside the horizon, and the decayed sum of what has left it.

    Attributes:
        slots: slot start (ms) -> stories.
        past: decayed stories of slots that have left the horizon, as of `past_at` (ms).
    """

    slot_ms: int
    horizon_ms: int
    half_life_ms: float
    slots: dict[int, int] = field(default_factory=dict)
    past: float = 0.0
    past_at: int = 0
    _asked: dict[tuple[int, int], int] = field(default_factory=dict, repr=False)
    """What `within` has answered since anything changed: every target that a bucket changes asks the same."""

    def add(self, bucket_ms: int, stories: int) -> int:
        """Count the stories of a closed bucket; returns the slot that changed."""
        self._asked.clear()
        slot = bucket_ms // self.slot_ms * self.slot_ms
        self.slots[slot] = self.slots.get(slot, 0) + stories
        return slot

    def roll(self, now_ms: int) -> list[int]:
        """Move slots that have left the horizon to the past, in order; returns those that went."""
        self._asked.clear()
        gone = sorted(slot for slot in self.slots if slot + self.slot_ms + self.horizon_ms <= now_ms)
        for slot in gone:
            left_at = slot + self.slot_ms + self.horizon_ms
            self.past = self.past * decay(left_at - self.past_at, self.half_life_ms) + self.slots.pop(slot)
            self.past_at = left_at
        return gone

    def within(self, now_ms: int, window_ms: int) -> int:
        """Stories of the last `window_ms`, whole slots."""
        since = (now_ms - window_ms) // self.slot_ms * self.slot_ms
        stories = self._asked.get((since, now_ms))
        if stories is None:
            stories = sum(stories for slot, stories in self.slots.items() if since <= slot < now_ms)
            self._asked[since, now_ms] = stories
        return stories

    def before(self, now_ms: int) -> float:
        """Decayed stories of all that lies before the horizon."""
        return self.past * decay(now_ms - self.past_at, self.half_life_ms)


def decay(elapsed_ms: float, half_life_ms: float) -> float:
    """Weight left after `elapsed_ms`; 1 for no or negative time."""
    return 1.0 if elapsed_ms <= 0 else float(2.0 ** (-elapsed_ms / half_life_ms))
