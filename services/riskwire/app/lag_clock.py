"""How long records have waited that a stage has not read. Pure: time is an argument."""

from __future__ import annotations

from collections import deque

_MAX_SAMPLES = 1_024


class LagClock:
    """Tells when the oldest unread record of a partition was published, from the ends of the partition over time.

    No record is read for that: a record at an offset was published after the end of the partition was last seen at or
    before this offset. So the result is at most as much too large as the samples are apart.
    """

    def __init__(self, max_samples: int = _MAX_SAMPLES) -> None:
        """Starts without samples.

        Args:
            max_samples: the most samples kept; when there are more, every second one is dropped.
        """
        self._max_samples = max_samples
        self._samples: deque[tuple[int, float]] = deque()
        """Ends of the partition in order, and when each was last seen."""
        self._started_at: float | None = None

    def lag_s(self, position: int, end: int, now: float) -> float:
        """Takes a sample and returns for how many seconds the oldest unread record has waited; 0 without one.

        If the record was there before the first sample, the time since the first sample is returned.

        Args:
            position: the offset of the next record that the stage reads.
            end: the offset after the last record of the partition.
            now: the time in seconds, of a clock that never jumps.
        """
        if self._started_at is None:
            self._started_at = now
        while self._samples and self._samples[-1][0] >= end:
            self._samples.pop()
        self._samples.append((end, now))
        while len(self._samples) > 1 and self._samples[1][0] <= position:
            self._samples.popleft()
        if len(self._samples) > self._max_samples:
            self._samples = deque(list(self._samples)[::2])
        if position >= end:
            return 0.0
        first_end, last_seen = self._samples[0]
        return now - (last_seen if first_end <= position else self._started_at)
