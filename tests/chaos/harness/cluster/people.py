"""`DecidingPeople` decide about the alerts of a run, by the API, while faults happen."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from harness.processes.fleet import Fleet

_LOOK_S = 0.5
_STORE_S = 120.0
_TIMEOUT_S = 20.0
_DECIDED_SHARE = 0.7
"""The share of alerts that somebody decides about."""
_UNMUTED_SHARE = 0.1
"""The share of mutes that are lifted at each look."""
_KEPT_MUTED = 3
"""The first targets that have an alert are muted, and never unmuted. So every run withholds something."""
_KINDS = ("acknowledge", "snooze", "mute", "false_alarm", "comment", "assign")
_FOR = timedelta(days=365)
"""How long a snooze or a mute lasts: longer than the run, so that none expires during it."""


class DecidingPeople:
    """Simulated people who look at the open alerts, and decide about some.

    Attributes:
        decided: the answers of the API to decisions, by kind and status; 0 without an answer.
    """

    def __init__(self, url: str, rng: random.Random, log: Callable[[str], None]) -> None:
        """Prepares people who do nothing yet. The generator decides what they decide.

        Args:
            url: the address of the API, which may be away at times.
        """
        self.decided: Counter[str] = Counter()
        self._url = url
        self._rng = rng
        self._log = log
        self._seen: set[tuple[str, str]] = set()
        self._muted: list[str] = []
        self._lifted: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self, fleet: Fleet, data: Path | None) -> None:
        """Starts the page, and to decide.

        Args:
            data: the folder in which a sink makes the store that the page needs; None for a store that exists.
        """
        async with asyncio.timeout(_STORE_S):
            while True:
                if data is None or await asyncio.to_thread(lambda: any(data.iterdir())):
                    break
                await asyncio.sleep(_LOOK_S)
        fleet.start("serve")
        self._task = asyncio.create_task(self._run(), name="people")

    async def stop(self) -> None:
        """Decides nothing any more; does nothing if that is so already."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            self._log(f"people have decided: {dict(sorted(self.decided.items()))}")

    async def _run(self) -> None:
        """Looks at the open alerts again and again, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(self._url, timeout=timeout) as session:
            while True:
                with suppress(aiohttp.ClientError, TimeoutError, ValueError):
                    async with session.get("/api/v1/alerts?limit=500") as answer:
                        alerts = await answer.json() if answer.status == 200 else []
                    for alert in alerts:
                        await self._look_at(session, alert)
                    await self._unmute(session)
                await asyncio.sleep(_LOOK_S)

    async def _look_at(self, session: aiohttp.ClientSession, alert: dict[str, Any]) -> None:
        """Decides about an alert record that was not looked at before, with the probability `_DECIDED_SHARE`.

        The targets of the first alerts are muted, whatever the probability.
        """
        record = (alert["id"], alert["status"])
        if record in self._seen:
            return
        self._seen.add(record)
        decides, kind = self._rng.random() < _DECIDED_SHARE, self._rng.choice(_KINDS)
        if len(self._muted) < _KEPT_MUTED and alert["target"] not in self._muted:
            decides, kind = True, "mute"
        if not decides:
            return
        until = {"until": (datetime.now(UTC) + _FOR).isoformat()} if kind in ("snooze", "mute") else {}
        about: dict[str, Any] = {"alert": alert["id"]}
        if kind == "mute":
            if alert["target"] in self._muted:
                return
            self._muted.append(alert["target"])
            about = {"subject": f"target:{alert['target']}"}
        elif kind == "comment":
            about["comment"] = "looking into it"
        elif kind == "assign":
            about["assignee"] = "grace"
        await self._decide(session, {"kind": kind, "by": "ada"} | about | until)

    async def _unmute(self, session: aiohttp.ClientSession) -> None:
        """Lifts some mutes, but not those of the first targets. A target is muted at most once."""
        for target in self._muted[_KEPT_MUTED:]:
            if target not in self._lifted and self._rng.random() < _UNMUTED_SHARE:
                self._lifted.add(target)
                await self._decide(session, {"kind": "unmute", "by": "grace", "subject": f"target:{target}"})

    async def _decide(self, session: aiohttp.ClientSession, command: dict[str, Any]) -> None:
        """Calls the API. Without an answer the decision may have been published or not; the log says."""
        status = 0
        with suppress(aiohttp.ClientError, TimeoutError):
            async with session.post("/api/v1/commands", json=command) as answer:
                status = answer.status
        self.decided[f"{command['kind']} {status}"] += 1
