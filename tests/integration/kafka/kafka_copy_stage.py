"""Run as a process by test_kafka_kill.py: copies articles to analyses through the real loop, counting in its state.

Arguments: the bus's URL and prefix. Runs until it is killed; joins anew where it was fenced.
"""

from __future__ import annotations

import asyncio
import sys

from copying import Copy

from riskwire.bus.kafka.bus import KafkaBus
from riskwire.settings import BusSettings, KafkaSettings
from riskwire.stage import run_stage


async def main(url: str, prefix: str) -> None:
    kafka = KafkaSettings(prefix=prefix, session_timeout_s=1.5, deadline_s=10)
    bus = await KafkaBus.open(BusSettings(url=url), kafka)
    await run_stage(bus, Copy(), batch=16)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
