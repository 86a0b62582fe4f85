"""The calm run: `riskwire replay` of the same archive in one process on the embedded bus, kept for the next time."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.check import TOPICS
from harness.fleet import LEASH
from harness.snapshot import ROOT

_CACHE = ROOT / ".cache" / "chaos"
_KEPT = 8
_DONE = "done"


async def calm_data(name: str, command: Sequence[str], environment: Mapping[str, str], within_s: float) -> Path:
    """The data directory of the calm run of that name (archive, code and model), run now if there is none yet."""
    folder = _CACHE / name
    if not (folder / _DONE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        await ended_well([*command, "--data", str(folder)], environment, within_s)
        (folder / _DONE).touch()
    os.utime(folder)
    _forget_old()
    return folder


async def ended_well(command: Sequence[str], environment: Mapping[str, str], within_s: float) -> None:
    """Run a command to its end.

    Raises:
        AssertionError: its code is not 0; with the end of what it said.
        TimeoutError: it was not in that time.
    """
    process = await asyncio.create_subprocess_exec(
        *LEASH, *command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(within_s):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{' '.join(command)} failed:\n{said.decode(errors='replace')[-4_000:]}"


def embedded_records(data: Path) -> dict[str, list[bytes]]:
    """Every record of the calm run, by topic."""
    return asyncio.run(_records(data))


async def _records(data: Path) -> dict[str, list[bytes]]:
    from riskwire.bus.embedded.bus import EmbeddedBus
    from riskwire.settings import BusSettings

    bus = await EmbeddedBus.open(data, BusSettings())
    try:
        found: dict[str, list[bytes]] = {}
        for topic in TOPICS:
            found[topic] = []
            for partition in range(bus.partitions(topic)):
                start = 0
                while messages := await bus.read(topic, partition, start, 5_000):
                    found[topic] += [message.value for message in messages]
                    start = messages[-1].offset + 1
        return found
    finally:
        await bus.close()


def store_view(data: Path) -> dict[str, Any]:
    """What users see of a store: alerts with their history, targets with their trend, the stories of each."""
    from riskwire.settings import load_settings
    from riskwire.store import Store

    view: dict[str, Any] = {}
    with Store.open(load_settings(overrides={"data": data}), read_only=True) as store:
        for row in store.alerts(limit=100_000):
            history = store.alert(row.id)
            view[f"alert {row.id}"] = history and history.model_dump()
        for target in store.targets(limit=100_000):
            view[f"target {target.target}"] = target.model_dump()
            trend = store.trend(target.target)
            view[f"trend {target.target}"] = trend and trend.model_dump()
            for story in store.stories(target.target, limit=100_000):
                view[f"story {target.target} {story.story} {story.article}"] = story.model_dump()
    return view


def _forget_old() -> None:
    folders = sorted(_CACHE.iterdir(), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)
