"""Takes the future out of the committed state of the alert stage, after the wall clock was ahead.

What was learned before stays. A signal, story, minute or slot after the given time is dropped, and no time of a clock,
baseline or episode stays later than it.
"""

from __future__ import annotations

import re

import orjson

from riskwire.records import from_ms
from riskwire.records.latest import not_after

_ALIGN_MS = 300_000
"""Buckets begin at multiples of their length, which usually divides five minutes."""
_DAY_MS = 86_400_000
_NAMED_BY_TIME = re.compile(r"(?:exposure|stories|minute|pending)/(\d+)")
"""Keys that name the time of their content in milliseconds."""
_NAMED_BY_DAY = re.compile(r"rates/\d+/(\d+)")


def rewound(key: str, value: bytes, now_ms: int) -> bytes | None:
    """Returns the value of a key of the state without what is later than `now_ms`; None if nothing remains."""
    named_ms = _named_ms(key)
    if named_ms is not None:
        return None if named_ms > now_ms else value
    if key == "clock":
        clock = orjson.loads(value)
        clock["marks"] = {partition: min(at_ms, now_ms) for partition, at_ms in clock["marks"].items()}
        clock["closed_until"] = min(clock["closed_until"], now_ms // _ALIGN_MS * _ALIGN_MS)
        clock["swept"] = min(clock["swept"], now_ms // _DAY_MS * _DAY_MS)
        return orjson.dumps(clock)
    if key == "exposure":
        exposure = orjson.loads(value)
        exposure["open"] = {bucket: stories for bucket, stories in exposure["open"].items() if int(bucket) <= now_ms}
        for field in ("past_at", "began"):
            exposure[field] = min(exposure[field], now_ms)
        return orjson.dumps(exposure)
    if key.startswith("target/"):
        return _rewound_target(value, now_ms)
    if key.startswith("events/"):
        return _rewound_events(value, now_ms)
    return value


def _named_ms(key: str) -> int | None:
    """Returns the time in milliseconds that a key names; None if it names none."""
    if named := _NAMED_BY_TIME.match(key):
        return int(named[1])
    named = _NAMED_BY_DAY.match(key)
    return None if named is None else int(named[1]) * _DAY_MS


def _rewound_target(value: bytes, now_ms: int) -> bytes:
    """Returns the state of a target with no time after `now_ms`."""
    target = orjson.loads(value)
    for field in ("touched", "learned"):
        target[field] = min(target[field], now_ms)
    target["baseline"]["at"] = min(target["baseline"]["at"], now_ms)
    if episode := target["episode"]:
        for field in ("notified_ms", "hot_ms"):
            if episode[field] is not None:
                episode[field] = min(episode[field], now_ms)
        episode["last"] = not_after(episode["last"], from_ms(now_ms))
    if slide := target["slide"]:
        cusum = slide["cusum"]
        cusum["at_ms"], cusum["since_ms"] = min(cusum["at_ms"], now_ms), min(cusum["since_ms"], now_ms)
        cusum["day"] = min(cusum["day"], now_ms // _DAY_MS)
        slide["last"] = not_after(slide["last"], from_ms(now_ms))
        slide["evidence"] = not_after(slide["evidence"], from_ms(now_ms))
    return orjson.dumps(target)


def _rewound_events(value: bytes, now_ms: int) -> bytes:
    """Returns what a target was notified of with no time after `now_ms`."""
    memory = orjson.loads(value)
    memory["told"] = {family: [min(at_ms, now_ms), *values] for family, (at_ms, *values) in memory["told"].items()}
    memory["facts"] = [[fingerprint, min(at_ms, now_ms), notified] for fingerprint, at_ms, notified in memory["facts"]]
    for waiting in memory["waiting"].values():
        waiting["at_ms"] = min(waiting["at_ms"], now_ms)
    if episode := memory["episode"]:
        for field in ("notified_ms", "hot_ms"):
            episode[field] = min(episode[field], now_ms)
        for field in ("last", "evidence"):
            episode[field] = not_after(episode[field], from_ms(now_ms))
    return orjson.dumps(memory)
