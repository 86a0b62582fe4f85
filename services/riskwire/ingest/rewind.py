"""Takes the future out of the committed state of ingest, after the wall clock was ahead."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from pydantic import TypeAdapter

from riskwire.ingest.feeds.schedule import PollState
from riskwire.records import Utc

CLOCK_KEY = "clock"
POLL_PREFIX = "poll:"
ITEM_PREFIX = "item:"
_CLOCK: TypeAdapter[datetime] = TypeAdapter(Utc)
_UNKNOWN_HASH = "repaired"
"""The hash of no document. An empty hash would make the next document the first of its feed."""


def rewound(key: str, value: bytes, now: datetime, forgotten: Collection[str]) -> bytes | None:
    """Returns the value of a key of the state as of `now`; None for an item that is to be published again.

    Every feed reads its next document again, also if it has not changed.

    Args:
        forgotten: the ids of the articles that are removed from the store.
    """
    if key.startswith(ITEM_PREFIX):
        return None if key.removeprefix(ITEM_PREFIX) in forgotten else value
    if key == CLOCK_KEY:
        return _CLOCK.dump_json(min(now, _CLOCK.validate_json(value)))
    if key.startswith(POLL_PREFIX):
        poll = PollState.model_validate_json(value)
        if not poll.document_hash:
            return value
        changes = {"etag": None, "last_modified": None, "document_hash": _UNKNOWN_HASH, "next_at": None}
        return poll.model_copy(update=changes).to_bytes()
    return value
