"""The broker with its two listeners, and `Observer`, a Kafka client that shares no code with riskwire."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

from broker import Broker, free_ports
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

_TAIL_LENGTH = 60
_POLL_S = 0.2
_REQUEST_S = 10.0
_DEADLINE_S = 60.0


def proxied_broker(folder: Path, proxy_port: int, command_prefix: tuple[str, ...]) -> tuple[Broker, int]:
    """Makes a broker with a second listener, to which it refers clients through the proxy.

    Args:
        command_prefix: the words before the command that starts the broker.

    Returns:
        the broker, which is not started, and the port of the second listener, to which the proxy must forward.
    """
    (proxied_port,) = free_ports(1)
    broker = Broker(
        folder,
        {
            "listeners": f"PLAINTEXT://127.0.0.1:{{port}},PROXIED://127.0.0.1:{proxied_port},"
            "CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{{port}},PROXIED://127.0.0.1:{proxy_port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
        },
        before=command_prefix,
    )
    return broker, proxied_port


class Observer:
    """Reads from and writes to the topic articles, without the proxy."""

    def __init__(self, client: dict[str, str]) -> None:
        self._client = client
        self.added: Counter[bytes] = Counter()
        """The values that `add` has written."""

    def tail(self) -> list[tuple[int, bytes | None, bytes]]:
        """Returns the last committed records of each partition of articles as (partition, key, value).

        Tries again for `_DEADLINE_S` while the broker does not answer, and then raises KafkaException.
        """
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            try:
                return self._tail()
            except KafkaException:  # the broker is stopped, or has just started and does not lead its partitions yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)

    def _tail(self) -> list[tuple[int, bytes | None, bytes]]:
        """Returns the committed records of the last `_TAIL_LENGTH` offsets of each partition (partition, key, value).

        Blocks. After `_DEADLINE_S` returns those read so far.
        """
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
            start_offsets: list[TopicPartition] = []
            for partition in consumer.list_topics("articles", timeout=_REQUEST_S).topics["articles"].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition("articles", partition), timeout=_REQUEST_S)
                start_offsets.append(TopicPartition("articles", partition, max(low, high - _TAIL_LENGTH)))
            consumer.assign(start_offsets)
            records: list[tuple[int, bytes | None, bytes]] = []
            unfinished = {start.partition for start in start_offsets}
            deadline = time.monotonic() + _DEADLINE_S
            while unfinished and time.monotonic() < deadline:
                message = consumer.poll(_POLL_S)
                if message is None:
                    continue
                if message.error() is None:
                    records.append((message.partition(), message.key(), message.value() or b""))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    unfinished.discard(message.partition())
            return records
        finally:
            consumer.close()

    def newest_time(self) -> datetime | None:
        """Returns the newest ``seen_at`` among the last articles, or None if there are none. Raises as `tail` does."""
        times = []
        for _, _, value in self.tail():
            try:
                times.append(datetime.fromisoformat(json.loads(value)["seen_at"]))
            except (ValueError, KeyError, TypeError):  # a malformed record that `add` wrote
                continue
        return max(times, default=None)

    def add(self, records: list[tuple[int, bytes | None, bytes]]) -> None:
        """Writes records to the topic articles, each exactly once, even if the broker restarts meanwhile.

        Blocks, and counts the values in `added`.

        Args:
            records: partition, key and value of each.

        Raises:
            AssertionError: a record could not be written in two minutes.
        """
        producer = Producer({**self._client, "enable.idempotence": True, "message.timeout.ms": 0, "log_level": 0})
        delivered: list[bytes] = []
        errors: list[str] = []

        def on_delivery(error: KafkaError | None, message: object) -> None:
            """Notes the value of a record that was written, or else the error."""
            if error is None:
                delivered.append(message.value())  # type: ignore[attr-defined]
            else:
                errors.append(str(error))

        for partition, key, value in records:
            producer.produce("articles", value, key, partition, on_delivery=on_delivery)
        unsent = producer.flush(_DEADLINE_S * 2)
        assert (unsent, errors) == (0, []), f"{unsent} records were not written: {errors}"
        self.added.update(delivered)
