"""Makes riskwire its next version, in processes whose PYTHONPATH has this folder: Python imports this module first.

The product has no code for this: the bus is patched here. What the next version writes differs as releases of one line
may differ:

records: every JSON object of a record, however deep, has a field that this version does not know.
state: every entry of a stage's state that is a JSON object has a key that this version does not know.

It reads what this version writes, which lacks both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from riskwire.bus import Outgoing
from riskwire.bus.kafka.cluster import Cluster, KafkaRecord

FIELD = "of_the_next_version"
_MAPS = ("buckets",)
"""Fields of records that map values, such as times, to numbers."""
_to_record, _to_state_record = Cluster.to_record, Cluster.to_state_record


def _with_field(value: Any) -> Any:
    """Returns a JSON value with the field last in each object, but not in maps, whose keys are values."""
    if isinstance(value, dict):
        return {key: part if key in _MAPS else _with_field(part) for key, part in value.items()} | {FIELD: True}
    return [_with_field(part) for part in value] if isinstance(value, list) else value


def _next_record(self: Cluster, outgoing: Outgoing) -> KafkaRecord:
    """Replaces `Cluster.to_record`."""
    return _to_record(self, replace(outgoing, value=orjson.dumps(_with_field(orjson.loads(outgoing.value)))))


def _next_state(self: Cluster, owner: str, partition: int, prefix: str, key: str, value: bytes | None) -> KafkaRecord:
    """Replaces `Cluster.to_state_record`. State that is no JSON object stays as it is."""
    try:
        entry = orjson.loads(value or b"")
    except ValueError:
        entry = None
    if isinstance(entry, dict):
        value = orjson.dumps(entry | {FIELD: True})
    return _to_state_record(self, owner, partition, prefix, key, value)


Cluster.to_record = _next_record  # type: ignore[method-assign]
Cluster.to_state_record = _next_state  # type: ignore[method-assign]
