"""Deliveries owed survive in the state until each has arrived or been given up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from riskwire.bus import Message
from riskwire.notify.outbox import Outbox


def message(offset: int) -> Message:
    return Message("alerts", 1, offset, "entity:x", b'{"record": "\xff"}')


def outbox(state: dict[str, bytes] | None = None, max_pending: int = 10) -> Outbox:
    return Outbox(state or {}, topic="alerts", partition=1, max_pending=max_pending)


def merged(state: dict[str, bytes], changes: dict[str, bytes | None]) -> dict[str, bytes]:
    both = {**state, **changes}
    return {key: value for key, value in both.items() if value is not None}


def test_a_restart_owes_only_what_is_not_known_to_be_delivered() -> None:
    before = outbox()
    owed, _ = before.accept(message(7), ["good", "broken"], 100.5)
    before.settle([delivery for delivery in owed if delivery.way == "good"])
    after = outbox(merged({}, before.take_changes()))
    assert after.owed() == [delivery for delivery in owed if delivery.way == "broken"]
    after.settle(after.owed())
    assert after.take_changes() == {"record:7": None}
    assert not after


def test_a_full_receiver_refuses_and_the_others_go_on() -> None:
    box = outbox(max_pending=1)
    box.accept(message(1), ["broken"], 0.0)
    owed, refused = box.accept(message(2), ["good", "broken"], 0.0)
    assert [delivery.way for delivery in owed] == ["good"]
    assert [delivery.way for delivery in refused] == ["broken"]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["a", "b", "c"])), max_size=30))
def test_the_state_alone_always_tells_what_is_owed(settles: list[tuple[int, str]]) -> None:
    box, state = outbox(), {}
    for offset in range(6):
        box.accept(message(offset), ["a", "b", "c"], float(offset))
    for offset, way in settles:
        box.settle([d for d in box.owed() if (d.message.offset, d.way) == (offset, way)])
        state = merged(state, box.take_changes())
        restored = outbox(state)
        assert restored.owed() == box.owed()
        assert len(restored) == len(box) == len(box.owed())
