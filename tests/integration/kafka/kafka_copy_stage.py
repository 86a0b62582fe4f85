"""A process of test_kafka_kill.py: copies articles to analyses through the loop of a batch stage.

Arguments: the URL of the bus and the topic prefix. Runs until it is killed, and joins the group again after a fencing.
"""

from __future__ import annotations

import asyncio
import sys

from copy_stage import CopyStage

from riskwire.bus.kafka.bus import KafkaBus
from riskwire.settings import BusSettings, KafkaSettings
from riskwire.stage import run_stage


async def main(url: str, prefix: str) -> None:
    kafka = KafkaSettings(prefix=prefix, session_timeout_s=1.5, deadline_s=10)
    bus = await KafkaBus.open(BusSettings(url=url), kafka)
    await run_stage(bus, CopyStage(), batch=16)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
