"""`riskwire status`: the lag of each group, in total and by partition."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from riskwire.alerting.calibration import DayRates
from riskwire.bus import Lag, Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.cli.status import lag_rows, show_status
from riskwire.pipeline import Topic
from riskwire.settings import Settings

LAGS = [Lag("infer", "articles", 1, 7), Lag("infer", "articles", 0, 0), Lag("sink", "alerts", 0, 0)]


def test_a_row_lists_partitions_with_lag_or_every_partition() -> None:
    """A row has group, topic, total lag (unread records), and the lag of each partition as `number: lag`."""
    assert lag_rows(LAGS, every_partition=False) == [("infer", "articles", "7", "1: 7"), ("sink", "alerts", "0", "")]
    assert lag_rows(LAGS, every_partition=True)[0] == ("infer", "articles", "7", "0: 0  1: 7")


async def test_status_prints_lag_by_group_and_partition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of five records, three are on partition 0, which `infer` has read, and two on partition 1, which it has not."""
    settings = Settings(data=tmp_path)
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    assignment = await anext(bus.assignments("infer", Topic.ARTICLES))
    async with bus.publisher("source") as publisher:
        await publisher.publish([Outgoing(Topic.ARTICLES, None, b"x", number % 2) for number in range(5)], {})
    await assignment.commit(3, [], {})
    await bus.close()

    await show_status(settings, json=True, partitions=False)
    status = json.loads(capsys.readouterr().out)
    assert status["lag"] == {"infer": 2}
    assert status["partitions"] == {"infer": {"articles": {"0": 0, "1": 2}}}
    assert status["topics"]["articles"] == 5
    await show_status(settings, json=False, partitions=False)
    assert re.search(r"^infer +articles +2 +1: 2 *$", capsys.readouterr().out, re.MULTILINE)


async def test_status_says_how_often_alerts_notified_and_whether_that_drifts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two partitions together had 60 pages on 100 parties in 90 days, where fewer than one is allowed."""
    settings = Settings(data=tmp_path)
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    for number in range(2):
        assignment = await anext(bus.assignments("alert", Topic.SIGNALS))
        days = [DayRates(20_000 + day, 50, {"spike_page": 1} if day < 30 else {}) for day in range(90)]
        state = {f"rates/{number}/{day.day}": day.encoded() for day in days}
        await assignment.commit(0, [], state)
    await bus.close()

    await show_status(settings, json=True, partitions=False)
    rates = {rate["alerts"]: rate for rate in json.loads(capsys.readouterr().out)["notifications"]}
    assert rates["spike_page"]["notifications"] == 60
    assert rates["spike_page"]["party_months"] == 300.0
    assert (rates["spike_page"]["achieved"], rates["spike_page"]["budget"]) == (0.2, 0.0025)
    assert rates["spike_page"]["drift"] == "more often"
    assert rates["event_page"]["budget"] is None
    await show_status(settings, json=False, partitions=False)
    assert "Thresholds of spikes and slides: " in capsys.readouterr().out
