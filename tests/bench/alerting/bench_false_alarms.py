"""False alarms of spikes and slides on simulated streams without real bad news, beside their budget.

    python tests/bench/alerting/bench_false_alarms.py [--targets N] [--days N] [--seed N]

Thresholds are calibrated on one stream, and measured on others: another seed, sources that come and go, hours that are
caught up, and more neutral news. A ratio of 1 meets the budget; the aim is between 1/1.5 and 1.5.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from riskwire.alerting.calibration import (
    ActivityLimits,
    GroupMonths,
    RunCounts,
    SurpriseLimits,
    find_limits,
    theoretical_limits,
)
from riskwire.backtest.calibration import ArchiveRuns
from riskwire.settings import AlertingSettings

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from synthetic_stream import StreamShape, SyntheticStream


def scenarios(shape: StreamShape) -> dict[str, StreamShape]:
    """Returns the simulated streams by what happens in them."""
    middle = shape.days // 2
    return {
        "another seed": shape,
        "30 % of sources added": replace(shape, change_day=middle, change=1.3),
        "30 % of sources lost": replace(shape, change_day=middle, change=0.7),
        "six hours caught up, twice a month": replace(shape, catch_ups=2.0),
        "five times the neutral bursts": replace(shape, neutral_bursts=5 * shape.neutral_bursts),
        "twice the follow-ups": replace(shape, follow_ups=2 * shape.follow_ups),
    }


def counts(shape: StreamShape, seed: int, limits: ActivityLimits | SurpriseLimits) -> tuple[RunCounts, float]:
    """Returns the notifications on a stream, and its target-months."""
    stream = SyntheticStream(shape, seed)
    quiet, active = ArchiveRuns(stream.records(), AlertingSettings(), set(stream.targets))(limits)
    both = RunCounts(quiet.notices + active.notices, quiet.pages + active.pages, quiet.slides + active.slides)
    return both, stream.target_months


def main() -> None:
    """Calibrates, and prints a row for each stream."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    settings = AlertingSettings()
    budget = settings.budget
    shape = StreamShape(targets=options.targets, days=options.days)
    stream = SyntheticStream(shape, options.seed)
    started = time.process_time()
    runs = ArchiveRuns(stream.records(), settings, set(stream.targets))
    months = shape.days / 30
    result = find_limits(
        runs,
        theoretical_limits(settings),
        GroupMonths(
            len(runs.quiet) * months,
            len(runs.active) * months,
            43.3 * runs.adverse / shape.days,
            43.3 * runs.adverse_quiet / shape.days,
        ),
        budget,
    )
    limits = result.limits
    table = Table(
        "stream", "notice", "page", "slide",
        title=f"notifications / budget; seed {options.seed}, {result.runs} runs, {time.process_time() - started:.0f} s"
        f"\nquiet {limits.quiet}\nactive {limits.active}",
    )  # fmt: skip
    rows = [("calibrated on", result.counts, stream.target_months)]
    for number, (name, changed) in enumerate(scenarios(shape).items(), start=1):
        rows.append((name, *counts(changed, options.seed + number, limits)))
    rows.append(
        ("another seed, thresholds from theory", *counts(shape, options.seed + 1, theoretical_limits(settings)))
    )
    for name, achieved, months in rows:
        table.add_row(
            name,
            f"{achieved.spikes / months / budget.notice:.2f}",
            f"{achieved.pages / months / budget.page:.2f}",
            f"{achieved.slides / months / budget.slide:.2f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
