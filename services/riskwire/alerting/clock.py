"""Time, as marks tell it: which buckets are closed.

All times are epoch milliseconds. A bucket `[start, start + length)` closes when the smallest mark over all partitions
of `articles`, less the allowed lateness, has passed its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Clock:
    """The marks of every input partition, and how far buckets have been closed.

    Nothing closes before every partition has spoken: one that is silent may still hold the past.
    """

    partitions: int
    bucket_ms: int
    lateness_ms: int
    marks: dict[int, int] = field(default_factory=dict)
    closed_until: int = 0

    def advance(self, partition: int, seen_ms: int) -> None:
        """Take a mark; one that is behind what its partition said before changes nothing."""
        self.marks[partition] = max(seen_ms, self.marks.get(partition, 0))

    def closable_until(self) -> int:
        """The end of the last bucket that may close now; never before `closed_until`."""
        if len(self.marks) < self.partitions:
            return self.closed_until
        passed = min(self.marks.values()) - self.lateness_ms
        return max(self.closed_until, passed // self.bucket_ms * self.bucket_ms)

    def bucket_of(self, seen_ms: int) -> int:
        """The bucket a time belongs to; a time in a closed bucket belongs to the oldest open one."""
        return max(seen_ms // self.bucket_ms * self.bucket_ms, self.closed_until)

    def is_late(self, seen_ms: int) -> bool:
        """Whether the bucket of this time has been closed."""
        return seen_ms < self.closed_until
