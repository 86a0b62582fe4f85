"""The bus: topics with partitions, and consumer groups with positions.

A stage fetches a batch of one input partition and commits results, changed state and its new position. The bus makes
the three one atomic step. That is its only promise, so that SQLite in one process and Kafka with many processes
can both keep the promise, and the code of a stage is the same on both.
"""

from riskwire.bus.protocol import (
    Assignment,
    Bus,
    Lag,
    Membership,
    Message,
    Outgoing,
    PartitionActivity,
    Publisher,
    broadcast,
    lag_by_group,
    lag_by_partition,
    partition_of,
)
from riskwire.bus.state import StateUpdate, update_state

__all__ = [
    "Assignment",
    "Bus",
    "Lag",
    "Membership",
    "Message",
    "Outgoing",
    "PartitionActivity",
    "Publisher",
    "StateUpdate",
    "broadcast",
    "lag_by_group",
    "lag_by_partition",
    "partition_of",
    "update_state",
]
