"""The cluster of a run: a broker with two ways in, one of them through the proxy, and a client of our own."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

from broker import Broker, free_ports
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

_TAIL = 60
_POLL_S = 0.2
_ASK_S = 10.0
_WITHIN_S = 60.0


def proxied_broker(folder: Path, proxy_port: int, before: tuple[str, ...]) -> tuple[Broker, int]:
    """A broker that tells those who come through the proxy to stay there; and the port the proxy must pass on to."""
    (behind,) = free_ports(1)
    broker = Broker(
        folder,
        {
            "listeners": f"PLAINTEXT://127.0.0.1:{{port}},PROXIED://127.0.0.1:{behind},"
            "CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{{port}},PROXIED://127.0.0.1:{proxy_port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
        },
        before=before,
    )
    return broker, behind


class Observer:
    """Looks at `articles` and writes to it, past the proxy, with a client that shares no code with riskwire."""

    def __init__(self, client: dict[str, str]) -> None:
        self._client = client
        self.added: Counter[bytes] = Counter()
        """What `add` has written."""

    def tail(self) -> list[tuple[int, bytes | None, bytes]]:
        """The last few committed records of each partition of `articles`: partition, key, value."""
        deadline = time.monotonic() + _WITHIN_S
        while True:
            try:
                return self._tail()
            except KafkaException:  # the broker is away, or has just come and does not lead its partitions yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)

    def _tail(self) -> list[tuple[int, bytes | None, bytes]]:
        consumer = Consumer(
            {
                **self._client,
                "group.id": "observer",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "log_level": 0,
            }
        )
        try:
            asked: list[TopicPartition] = []
            for partition in consumer.list_topics("articles", timeout=_ASK_S).topics["articles"].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition("articles", partition), timeout=_ASK_S)
                asked.append(TopicPartition("articles", partition, max(low, high - _TAIL)))
            consumer.assign(asked)
            found: list[tuple[int, bytes | None, bytes]] = []
            behind = {one.partition for one in asked}
            deadline = time.monotonic() + _WITHIN_S
            while behind and time.monotonic() < deadline:
                message = consumer.poll(_POLL_S)
                if message is None:
                    continue
                if message.error() is None:
                    found.append((message.partition(), message.key(), message.value() or b""))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    behind.discard(message.partition())
            return found
        finally:
            consumer.close()

    def newest(self) -> datetime | None:
        """The time that the log of articles has reached."""
        times = []
        for _, _, value in self.tail():
            try:
                times.append(datetime.fromisoformat(json.loads(value)["seen_at"]))
            except (ValueError, KeyError, TypeError):  # added as garbage
                continue
        return max(times, default=None)

    def add(self, records: list[tuple[int, bytes | None, bytes]]) -> None:
        """Write records to `articles`, each once, whatever the broker does meanwhile."""
        producer = Producer({**self._client, "enable.idempotence": True, "message.timeout.ms": 0, "log_level": 0})
        told: list[bytes] = []
        failed: list[str] = []

        def on_delivery(error: KafkaError | None, message: object) -> None:
            if error is None:
                told.append(message.value())  # type: ignore[attr-defined]
            else:
                failed.append(str(error))

        for partition, key, value in records:
            producer.produce("articles", value, key, partition, on_delivery=on_delivery)
        left = producer.flush(_WITHIN_S * 2)
        assert (left, failed) == (0, []), f"{left} records were not written: {failed}"
        self.added.update(told)
