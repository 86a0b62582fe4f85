"""`riskwire status`: how far each group is behind, and on which partitions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from riskwire.bus import Lag, Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.cli.show import _lag_rows, status
from riskwire.pipeline import Topic
from riskwire.settings import Settings

LAGS = [Lag("infer", "articles", 1, 7), Lag("infer", "articles", 0, 0), Lag("sink", "alerts", 0, 0)]


def test_a_row_a_group_names_the_partitions_that_are_behind_or_all() -> None:
    assert _lag_rows(LAGS, every=False) == [("infer", "articles", "7", "1: 7"), ("sink", "alerts", "0", "")]
    assert _lag_rows(LAGS, every=True)[0] == ("infer", "articles", "7", "0: 0  1: 7")


async def test_it_tells_lag_by_group_and_partition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(data=tmp_path)
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    first = await anext(bus.assignments("infer", Topic.ARTICLES))
    async with bus.publisher("source") as publisher:
        await publisher.publish([Outgoing(Topic.ARTICLES, None, b"x", n % 2) for n in range(5)], {})
    await first.commit(3, [], {})
    await bus.close()

    await status(settings, json=True, partitions=False)
    told = json.loads(capsys.readouterr().out)
    assert told["lag"] == {"infer": 2}
    assert told["partitions"] == {"infer": {"articles": {"0": 0, "1": 2}}}
    assert told["topics"]["articles"] == 5
    await status(settings, json=False, partitions=False)
    assert re.search(r"^infer +articles +2 +1: 2 *$", capsys.readouterr().out, re.MULTILINE)
