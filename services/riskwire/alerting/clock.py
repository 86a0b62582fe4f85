"""Stream time: which buckets are closed.

All times are epoch milliseconds. A bucket `[start, start + length)` closes when the smallest mark over all partitions
of `articles`, less the allowed lateness, has passed its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class BucketClock:
    """The newest mark of every input partition, and the time up to which buckets are closed.

    No bucket closes before every partition has sent a mark: a silent one may still hold older articles.
    """

    partitions: int
    bucket_ms: int
    lateness_ms: int
    marks: dict[int, int] = field(default_factory=dict)
    closed_until_ms: int = 0

    def advance(self, partition: int, seen_ms: int) -> None:
        """Takes a mark. A mark that is older than the newest one of its partition has no effect."""
        self.marks[partition] = max(seen_ms, self.marks.get(partition, 0))

    def closable_until_ms(self) -> int:
        """Returns the end of the last bucket that may close now; never before `closed_until_ms`.

        A bucket (an interval of stream time) may close when every partition of `articles` has a mark, the time up to
        which it was read, past the end of the bucket plus the allowed lateness. While a partition has no
        mark, no further bucket closes.
        """
        if len(self.marks) < self.partitions:
            return self.closed_until_ms
        passed = min(self.marks.values()) - self.lateness_ms
        return max(self.closed_until_ms, passed // self.bucket_ms * self.bucket_ms)

    def bucket_of(self, seen_ms: int) -> int:
        """Returns the start of the bucket (an interval of stream time) of a time; the oldest open one if it is late."""
        return max(seen_ms // self.bucket_ms * self.bucket_ms, self.closed_until_ms)

    def is_late(self, seen_ms: int) -> bool:
        """Whether the bucket of a time is closed."""
        return seen_ms < self.closed_until_ms
