"""`riskwire feeds list` shows the list without the states of the feeds if they cannot be read in time."""

from __future__ import annotations

import json
import time

import pytest
from broker import Broker
from cli import environment, riskwire
from confluent_kafka import Producer

pytestmark = pytest.mark.needs_kafka

PREFIX = "unknown-"
DEFAULT_DEADLINE_S = 60
"""The default of `kafka.deadline_s`; the command must not wait that long."""


def test_an_open_transaction_hides_the_states_and_not_the_list(kafka_broker: Broker) -> None:
    """The states of feeds are on a topic with an open transaction, for whose end the command does not wait.

    `feeds list` then shows each state as unknown, says why, and exits with 0. `--failing` exits with 1.
    """
    settings = {"BUS__URL": kafka_broker.url, "KAFKA__PREFIX": PREFIX, "KAFKA__PARTITIONS": "2"}
    env = environment(**{f"RISKWIRE_{key}": value for key, value in settings.items()})
    for words in (["topics", "create"], ["feeds", "add", "https://a.example/rss", "--id", "a"]):
        completed = riskwire(*words, env=env)
        assert completed.returncode == 0, completed.stderr

    producer = Producer({**kafka_broker.client, "transactional.id": "stays-open"})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(f"{PREFIX}ingest-state", key=b"feeds/poll:b", value=b"{}", partition=0)
    assert producer.flush(60) == 0

    started = time.monotonic()
    listed = riskwire("feeds", "list", "--json", env=env)
    assert time.monotonic() - started < DEFAULT_DEADLINE_S - 10
    (row,) = map(json.loads, listed.stdout.splitlines())
    assert (row["id"], row["state"], row["failures"], row["read_at"]) == ("a", "unknown", None, None)
    (message,) = listed.stderr.splitlines()
    assert message.startswith(f"The state of the feeds cannot be read: {kafka_broker.url}: {PREFIX}ingest-state[0]@0")
    assert listed.returncode == 0
    failing = riskwire("feeds", "list", "--failing", env=env)
    assert failing.returncode == 1, "it is unknown whether a feed fails"
    assert "unknown" in failing.stdout

    producer.abort_transaction(60)
    listed_after_abort = riskwire("feeds", "list", "--json", env=env)
    assert (json.loads(listed_after_abort.stdout)["state"], listed_after_abort.stderr) == ("not yet", "")
