"""The bus: topics with partitions, groups with positions, and one promise.

A stage takes a batch of one input partition and hands back results, changed state and its new position; the bus
makes the three one atomic step. It promises that and nothing more, so that SQLite in one process and Kafka with
many can keep the same promise and stage code cannot tell them apart.
"""

from riskwire.bus.protocol import (
    Assignment,
    Bus,
    Lag,
    Message,
    Outgoing,
    Publisher,
    behind,
    behind_by_partition,
    broadcast,
    partition_of,
)
from riskwire.bus.state import Amendment, amend

__all__ = [
    "Amendment",
    "Assignment",
    "Bus",
    "Lag",
    "Message",
    "Outgoing",
    "Publisher",
    "amend",
    "behind",
    "behind_by_partition",
    "broadcast",
    "partition_of",
]
