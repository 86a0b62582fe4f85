"""Pending deliveries are kept in the state until each has arrived or was given up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from riskwire.bus import Message
from riskwire.notify.outbox import Delivery, Outbox


def message(offset: int) -> Message:
    return Message("alerts", 1, offset, "entity:x", b'{"id": "c0de"}')


def open_outbox(state: dict[str, bytes] | None = None, max_pending: int = 10) -> Outbox:
    return Outbox(state or {}, topic="alerts", partition=1, max_pending=max_pending)


def waiting(outbox: Outbox) -> list[Delivery]:
    return [delivery for _, delivery in outbox.waiting()]


def merged(state: dict[str, bytes], changes: dict[str, bytes | None]) -> dict[str, bytes]:
    both = {**state, **changes}
    return {key: value for key, value in both.items() if value is not None}


def test_only_deliveries_not_known_to_have_arrived_are_pending_after_a_restart() -> None:
    """One record is to be delivered to two receivers. The state loses the record when both deliveries are removed."""
    before = open_outbox()
    deliveries, _ = before.add(message(7), ["good", "broken"], accepted_at=100.5)
    before.remove([delivery for delivery in deliveries if delivery.receiver == "good"])
    after = open_outbox(merged({}, before.take_changes()))
    assert waiting(after) == [delivery for delivery in deliveries if delivery.receiver == "broken"]
    after.remove(waiting(after))
    assert after.take_changes() == {"record:7": None}
    assert not after


def test_a_full_receiver_refuses_a_delivery_and_the_others_accept_it() -> None:
    """One delivery may be pending for each receiver."""
    outbox = open_outbox(max_pending=1)
    outbox.add(message(1), ["broken"], accepted_at=0.0)
    accepted, refused = outbox.add(message(2), ["good", "broken"], accepted_at=0.0)
    assert [delivery.receiver for delivery in accepted] == ["good"]
    assert [delivery.receiver for delivery in refused] == ["broken"]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["a", "b", "c"])), max_size=30))
def test_the_outbox_is_restored_from_its_state_after_any_removals(removals: list[tuple[int, str]]) -> None:
    """Six records are pending for three receivers each.

    Args:
        removals: offset and receiver of each delivery to remove; one that is no longer pending has no effect.
    """
    outbox, state = open_outbox(), {}
    for offset in range(6):
        outbox.add(message(offset), ["a", "b", "c"], accepted_at=float(offset))
    for offset, receiver in removals:
        removed = [
            delivery
            for delivery in waiting(outbox)
            if (delivery.message.offset, delivery.receiver) == (offset, receiver)
        ]
        outbox.remove(removed)
        state = merged(state, outbox.take_changes())
        restored = open_outbox(state)
        assert waiting(restored) == waiting(outbox)
        assert len(restored) == len(outbox) == len(waiting(outbox))
