"""The decisions stage puts each decision on every partition of alerts, and mutes in force on new partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from riskwire.bus import Message, Outgoing
from riskwire.deciding import DecisionsStage
from riskwire.pipeline import Topic
from riskwire.records import ALERTS, Command, DeadLetter, Decision, read_record

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
SUBJECT = "target:entity:norrland"


def command(kind: str, **fields: object) -> Command:
    about = {"value": {"subject": SUBJECT}} if kind in ("mute", "unmute") else {"alert": "c0de"}
    return Command.model_validate({"kind": kind, "by": "ada", "at": AT} | about | fields)


def messages(*records: Command | bytes) -> list[Message]:
    """Returns records of `commands` with offsets from 0."""
    return [
        Message("commands", 0, offset, "k", record if isinstance(record, bytes) else record.to_bytes())
        for offset, record in enumerate(records)
    ]


def decisions(results: Sequence[Outgoing]) -> dict[int | None, list[Decision]]:
    """Returns the decisions by partition."""
    by_partition: dict[int | None, list[Decision]] = {}
    for result in results:
        if result.topic == Topic.ALERTS:
            record = read_record(ALERTS, result.value, "here")
            assert isinstance(record, Decision)
            by_partition.setdefault(result.partition, []).append(record)
    return by_partition


def committed(state: dict[str, bytes], changes: Mapping[str, bytes | None]) -> dict[str, bytes]:
    merged = {**state, **changes}
    return {key: value for key, value in merged.items() if value is not None}


async def test_each_decision_goes_to_every_partition_in_order() -> None:
    batch = messages(
        command("acknowledge"),
        command("watchlist_remove", target="entity:norrland"),
        command("false_alarm", value={"reason": "wrong_party"}),
    )
    step = await DecisionsStage(3).open(0, {}).process(batch)
    by_partition = decisions(step.results)
    assert list(by_partition) == [0, 1, 2]
    for partition_decisions in by_partition.values():
        assert [(decision.decision, decision.alert, decision.command) for decision in partition_decisions] == [
            ("acknowledge", "c0de", 0),
            ("false_alarm", "c0de", 2),
        ]
        assert partition_decisions[1].reason == "wrong_party"
    assert step.state == {}


async def test_a_new_partition_receives_the_mutes_in_force() -> None:
    """A mute that was lifted is not among them."""
    type_mute = command("mute", value={"subject": "type:litigation"})
    task = DecisionsStage(2).open(0, {})
    step = await task.process(messages(command("mute"), type_mute, command("unmute")))
    state = committed({}, step.state)
    first = await DecisionsStage(3).open(0, state).first_step()
    assert {
        name: [decision.subject for decision in partition_decisions]
        for name, partition_decisions in decisions(first.results).items()
    } == {2: ["type:litigation"]}
    again = await DecisionsStage(3).open(0, committed(state, first.state)).first_step()
    assert again.results == []


async def test_a_mute_that_has_ended_is_forgotten() -> None:
    later = command("acknowledge", at=AT + timedelta(hours=2))
    step = await DecisionsStage(1).open(0, {}).process(messages(command("mute", until=AT + timedelta(hours=1)), later))
    assert not any(key.startswith("mute/") for key in committed({}, step.state))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (b"{", "record"),
        (command("mute", value={}), "value.subject"),
        (command("acknowledge", alert=None), "alert"),
        (command("false_alarm", value={"reason": "mood"}), "reason"),
    ],
)
async def test_a_command_that_cannot_be_obeyed_is_a_dead_letter_and_the_next_one_counts(
    wrong: Command | bytes, field: str
) -> None:
    step = await DecisionsStage(1).open(0, {}).process(messages(wrong, command("acknowledge")))
    (letter,) = [
        DeadLetter.model_validate_json(outgoing.value) for outgoing in step.results if outgoing.topic != Topic.ALERTS
    ]
    assert field in letter.error
    assert [decision.decision for decision in decisions(step.results)[0]] == ["acknowledge"]
