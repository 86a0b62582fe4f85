"""How often spikes and slides notify on simulated streams: not more often because the stream itself changes.

The thresholds are low, so that a short stream gives enough notifications to compare. `tests/bench/alerting` measures
the rates at the budget.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from synthetic_stream import StreamShape, SyntheticStream

from riskwire.alerting.calibration import LimitTable, RunCounts, SurpriseLimits
from riskwire.alerting.episode import Thresholds
from riskwire.backtest.alert_run import run_alerting
from riskwire.settings import AlertingSettings

SEED = 7
SHAPE = StreamShape(targets=24, days=150, stories_per_day=0.6, other_stories=24)
"""With bursts of adverse and of neutral stories, and with weekends."""
LIMITS = SurpriseLimits(Thresholds(1.0, 1.5), 0.5)


def notifications(shape: StreamShape, limits: SurpriseLimits = LIMITS) -> RunCounts:
    """Returns the notifications on a stream."""
    stream = SyntheticStream(shape, SEED)
    run = run_alerting(stream.records(), AlertingSettings(), limits=LimitTable.fixed(limits))
    counts = Counter((alert.kind, alert.tier) for alert in run.alerts if alert.status != "resolved")
    return RunCounts(counts["spike", "notice"], counts["spike", "page"], counts["slide", "notice"])


@pytest.fixture(scope="module")
def usual() -> RunCounts:
    """The notifications on the stream that does not change."""
    return notifications(SHAPE)


@pytest.mark.parametrize(
    "changed",
    [
        replace(SHAPE, change_day=75, change=1.3),
        replace(SHAPE, change_day=75, change=0.7),
        replace(SHAPE, catch_ups=2.0),
        replace(SHAPE, neutral_bursts=5 * SHAPE.neutral_bursts),
    ],
    ids=["sources added", "sources lost", "six hours caught up", "neutral bursts"],
)
def test_a_change_of_the_stream_is_no_bad_news(usual: RunCounts, changed: StreamShape) -> None:
    """Spikes stay within 1.5 times of what they were; more or less news gives more or fewer looks, in proportion."""
    before, after = usual.notices + usual.pages, notifications(changed)
    print("seed", SEED, "before", usual, "after", after)
    assert before / 1.5 < after.notices + after.pages < 1.5 * before
    assert after.slides <= 2 * usual.slides


def test_the_thresholds_from_theory_hardly_notify_without_bad_news() -> None:
    """120 target-months allow two notices; theory errs on the safe side."""
    counts = notifications(SHAPE, SurpriseLimits(Thresholds(3.875, 4.176), 3.778))
    assert counts.notices + counts.pages <= 5
    assert counts.slides <= 1
