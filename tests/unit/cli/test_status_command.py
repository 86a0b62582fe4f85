"""`riskwire status`: the lag of each group, in total and by partition."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

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
