"""Waits while the store is unreachable, in use or full, so that a stage continues instead of ending its process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from riskwire.errors import StoreUnavailableError

log = structlog.get_logger(__name__)

_R = TypeVar("_R")

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_LOG_EVERY_S = 60.0


async def when_available(action: Callable[[], Awaitable[_R]], wait_s: float) -> _R:
    """Awaits an action, and retries it while the store is unavailable. Returns its result.

    Args:
        wait_s: how long to wait in total.

    Raises:
        StoreUnavailableError: the store was unavailable for `wait_s` seconds.
    """
    began = logged = None
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            result = await action()
        except StoreUnavailableError as error:
            now = time.monotonic()
            began = began or now
            if now - began + pause_s > wait_s:
                raise
            if logged is None or now - logged >= _LOG_EVERY_S:
                log.error("waiting for the store", error=str(error), waited_s=round(now - began), at_most_s=wait_s)
                logged = now
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        else:
            if began is not None:
                log.warning("the store is back", waited_s=round(time.monotonic() - began))
            return result
