"""Whether the store goes with the log of commands that is read here, and what to do where it does not.

The log is told by a number that is drawn when history first reads it, and that both keep: history in its state, which
goes with the log, and the store. A store that has another number, or that was read with a command that this log does
not have, comes from another log: then all that it holds is past for every command of this one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import structlog

from riskwire.pipeline import Topic
from riskwire.store import Store
from riskwire.watching.history.store_wait import Ends

log = structlog.get_logger(__name__)

KEY = "log"
"""The key of the state under which the number is kept."""
_BITS = 62


async def same_log(store: Store, ends: Ends, state: Mapping[str, bytes]) -> bytes:
    """Make the store go with this log; the number to keep in the state.

    Raises:
        StoreError: the store cannot be read or written.
        BusError: the bus cannot be asked how far the log reaches.
    """
    held = int(state[KEY]) if KEY in state else None
    known = await store.off_loop(store.command_log)
    # Asked after the store: what it was read with by then stands in the log by now, if it is this one.
    (end,) = await ends(Topic.COMMANDS)
    anew = known.number not in (None, held) or (known.last is not None and known.last >= end)
    if anew:
        log.warning("the store comes from another log of commands: all it holds is past for this one", last=known.last)
    # By chance, so that no two logs have one number whatever store they were read with.
    number = secrets.randbits(_BITS) if held is None else held
    if anew or known.number != number:
        await store.write_off_loop(store.set_command_log, number, forget_offsets=anew)
    return str(number).encode()
