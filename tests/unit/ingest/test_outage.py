"""A missing network is one line of the log, and a feed that fails alone is still logged."""

from __future__ import annotations

from riskwire.ingest.outage import Outage


def test_an_offline_start_is_announced_once() -> None:
    """Of 23 feeds, the third without an answer announces it. When the network is back, no feed is logged at once."""
    outage = Outage()
    assert [outage.unreached(f"feed-{n}", "no address", 23) for n in range(23)] == [0, 0, 3] + [0] * 20
    assert outage.reached() == (True, {})
    assert outage.reached() == (False, {})
    assert outage.take_unlogged("feed-7")
    assert not outage.take_unlogged("feed-7")


def test_a_feed_that_fails_while_others_answer_is_logged() -> None:
    outage = Outage()
    assert outage.unreached("a", "no address", 23) == 0
    assert outage.reached() == (False, {"a": "no address"})
    assert outage.reached() == (False, {})


def test_the_only_feed_is_not_waited_for() -> None:
    assert Outage().unreached("a", "no address", 1) == 1
