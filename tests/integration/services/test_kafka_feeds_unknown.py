"""Where what ingesters remember cannot be read, `feeds list` shows the list all the same, and says why."""

from __future__ import annotations

import json
import time

import pytest
from broker import Broker
from cli import environment, riskwire
from confluent_kafka import Producer

pytestmark = pytest.mark.needs_kafka

PREFIX = "unknown-"
DEADLINE_S = 60
"""`kafka.deadline_s` as it is by default: for so long the list does not wait."""


def test_a_transaction_that_stays_open_costs_seconds_and_the_states_and_not_the_list(kafka_broker: Broker) -> None:
    settings = {"BUS__URL": kafka_broker.url, "KAFKA__PREFIX": PREFIX, "KAFKA__PARTITIONS": "2"}
    env = environment(**{f"RISKWIRE_{key}": value for key, value in settings.items()})
    for words in (["topics", "create"], ["feeds", "add", "https://a.example/rss", "--id", "a"]):
        done = riskwire(*words, env=env)
        assert done.returncode == 0, done.stderr

    writer = Producer({**kafka_broker.client, "transactional.id": "stays-open"})
    writer.init_transactions(60)
    writer.begin_transaction()
    writer.produce(f"{PREFIX}ingest-state", key=b"feeds/poll:b", value=b"{}", partition=0)
    assert writer.flush(60) == 0

    began = time.monotonic()
    listed = riskwire("feeds", "list", "--json", env=env)
    assert time.monotonic() - began < DEADLINE_S - 10
    (row,) = map(json.loads, listed.stdout.splitlines())
    assert (row["id"], row["state"], row["failures"], row["read_at"]) == ("a", "unknown", None, None)
    (told,) = listed.stderr.splitlines()
    assert told.startswith(f"The state of the feeds cannot be read: {kafka_broker.url}: {PREFIX}ingest-state[0]@0")
    assert listed.returncode == 0
    failing = riskwire("feeds", "list", "--failing", env=env)
    assert failing.returncode == 1, "whether one fails is not known"
    assert "unknown" in failing.stdout

    writer.abort_transaction(60)
    again = riskwire("feeds", "list", "--json", env=env)
    assert (json.loads(again.stdout)["state"], again.stderr) == ("not yet", "")
