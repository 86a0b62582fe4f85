"""The reference run: `riskwire replay` of the same archive in one process on the embedded bus, without faults.

Its data directory is cached by archive, code and model.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.processes.fleet import DIE_WITH_PARENT
from harness.processes.snapshot import ROOT
from harness.verdict.comparison import TOPICS

_CACHE = ROOT / ".cache" / "chaos"
_MAX_CACHED_RUNS = 8
_DECIDED = {
    *("handling", "handled_by", "handled_at", "snoozed_until", "assigned_to", "reason", "muted", "commands"),
}
"""The fields of an alert that people decide; the reference run has no people."""
_COMPLETE = "done"
"""A file in the data directory of a complete run."""


async def reference_data(name: str, command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> Path:
    """Returns the data directory of the reference run of that name; runs the command if it is not cached.

    Afterwards deletes all cached runs but the `_MAX_CACHED_RUNS` used last. Raises what `run_command` raises.

    Args:
        command: the command, without its option `--data`.
    """
    folder = _CACHE / name
    if not (folder / _COMPLETE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        await run_command([*command, "--data", str(folder)], environment, timeout_s)
        (folder / _COMPLETE).touch()
    os.utime(folder)
    _delete_oldest()
    return folder


async def run_command(command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> None:
    """Runs a command until it exits.

    Raises:
        AssertionError: its exit code is not 0; the message has the end of its error output.
        TimeoutError: it did not exit in time.
    """
    process = await asyncio.create_subprocess_exec(
        *DIE_WITH_PARENT,
        *command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout_s):
            _, error_output = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{' '.join(command)} failed:\n{error_output.decode(errors='replace')[-4_000:]}"


def embedded_records(data: Path) -> dict[str, list[bytes]]:
    """Returns all records of the reference run, by topic."""
    return asyncio.run(_records(data))


async def _records(data: Path) -> dict[str, list[bytes]]:
    """Returns the values of all records on the compared topics, read from the embedded bus in `data`."""
    from riskwire.bus.embedded.bus import EmbeddedBus
    from riskwire.settings import BusSettings

    bus = await EmbeddedBus.open(data, BusSettings())
    try:
        records: dict[str, list[bytes]] = {}
        for topic in TOPICS:
            records[topic] = []
            for partition in range(bus.partitions(topic)):
                offset = 0
                while messages := await bus.read(topic, partition, offset, 5_000):
                    records[topic] += [message.value for message in messages]
                    offset = messages[-1].offset + 1
        return records
    finally:
        await bus.close()


def store_view(data: Path, url: str | None = None) -> dict[str, Any]:
    """Returns the entries that users of a store see: alerts with history, targets with trend and stories.

    A key names an entry, such as `alert ID`; its value is the content as plain data.

    Args:
        url: where the store is; None for SQLite in `data`.
    """
    from riskwire.settings import load_settings
    from riskwire.store import Store

    view: dict[str, Any] = {}
    with Store.open(load_settings(overrides={"data": data, "store": {"url": url}}), read_only=True) as store:
        for row in store.alerts(limit=100_000):
            history = store.alert(row.id)
            view[f"alert {row.id}"] = history and history.model_dump(exclude=_DECIDED)
        for target in store.targets(limit=100_000):
            view[f"target {target.target}"] = target.model_dump()
            trend = store.trend(target.target)
            view[f"trend {target.target}"] = trend and trend.model_dump()
            for story in store.stories(target.target, limit=100_000):
                view[f"story {target.target} {story.story} {story.article}"] = story.model_dump()
    return view


def _delete_oldest() -> None:
    folders = sorted(_CACHE.iterdir(), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-_MAX_CACHED_RUNS]:
        shutil.rmtree(folder, ignore_errors=True)
