"""Checks that a store was filled from the log of commands that history reads.

The store contains offsets of that log (`read_with`), which mean nothing in another log. A random number identifies a
log: history draws it when it first reads the log. It keeps the number in its state, which belongs to the log, and in
the store. A store with another number, or with an offset that this log does not have, was filled from another log.
Everything in it then counts as read before every command of this log.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import structlog

from riskwire.pipeline import Topic
from riskwire.store import Store
from riskwire.watching.history.positions import LogPositions

log = structlog.get_logger(__name__)

LOG_NUMBER = "log"
"""The key of the state for the number of the log."""
_BITS = 62


async def bind_store_to_log(store: Store, positions: LogPositions, state: Mapping[str, bytes]) -> bytes:
    """Makes the store belong to this log of commands, and returns the number of the log, in digits, for the state.

    Offsets of commands in a store are meaningful only for the log that they came from, so each log has a random number.
    If the store was filled from another log (its number differs, or it has an offset that this log does not reach), its
    offsets are forgotten, and its articles count as past. A log without a number gets one.

    Args:
        positions: the bus, which is asked for the end of the log.
        state: the committed state of history; it holds the number of the log, if the log has one.

    Raises:
        StoreError: the store cannot be read or written.
        BusError: the bus cannot be asked for the end of the log.
    """
    number = int(state[LOG_NUMBER]) if LOG_NUMBER in state else None
    stored = await store.off_loop_when_available(store.command_log)
    # The end is read after the store: every offset in the store is then below it, if the store belongs to this log.
    (end,) = await positions.ends(Topic.COMMANDS)
    other_log = stored.number not in (None, number) or (stored.last is not None and stored.last >= end)
    if other_log:
        log.warning("store was filled from another log of commands, its articles count as past", last=stored.last)
    if number is None:
        # The number is random, so that no two logs share one, whichever store they were read with.
        number = secrets.randbits(_BITS)
    if other_log or stored.number != number:
        await store.write_off_loop(store.set_command_log, number, forget_offsets=other_log)
    return str(number).encode()
