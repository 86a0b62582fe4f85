"""How often alerts notify on watchlists of large companies, and whether spikes and slides keep their budget.

    python tests/bench/alerting/bench_watchlists.py ARCHIVE [--sizes 40 100 500] [--seed N] [--calibration FILE]

Each watchlist is drawn by seed from the companies with the most articles in the archive: 40 of the 80 largest, and so
on. The model's readings come from the cache of `riskwire backtest` and `riskwire calibrate`, or are made, for minutes.
`ratio` is how often a kind notified, divided by what the budget allows; the aim is between 1/1.5 and 1.5. `beside it`
says whether that is more or less than chance explains.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from riskwire.alerting.calibration.rates import drift, expected_rates, rate_name
from riskwire.app.inputs import configured_watchlist
from riskwire.backtest.alert_run import run_alerting
from riskwire.backtest.archive_signals import read_archive
from riskwire.cli.alarm.archive import default_cache
from riskwire.records import Alert, Mark, Signal
from riskwire.settings import Budget, load_settings

_COMPANY = ("entity:isin:", "entity:cik:")
"""Targets with an identifier of a security or an issuer: companies, but no countries, people or unknown names."""
_KINDS = (("event", "page"), ("event", "notice"), ("spike", "page"), ("spike", "notice"), ("slide", "notice"))


def main() -> None:
    """Prints a table with a row for each watchlist, kind and tier."""
    options = _options()
    settings = load_settings()
    if options.calibration:
        alerting = settings.alerting.model_copy(update={"calibration": options.calibration})
        settings = settings.model_copy(update={"alerting": alerting})
    log = asyncio.run(read_archive(options.archive, settings, configured_watchlist(settings), options.cache))
    records = list(log.records())
    companies = by_articles(records)
    table = Table("companies", "kind", "tier", "count", "a month", "expected", "ratio", "beside it")
    for size in options.sizes:
        targets = set(random.Random(options.seed).sample(companies[: 2 * size], min(size, len(companies))))
        followed = (record for record in records if isinstance(record, Mark) or record.target in targets)
        run = run_alerting(followed, settings.alerting)
        for row in rows(run.alerts, targets, log.months, settings.alerting.budget):
            table.add_row(str(len(targets)), *row)
        table.add_section()
    console = Console(width=110)
    console.print(f"{log.summary.bundle}, {log.months:.1f} months, {len(companies)} companies, seed {options.seed}")
    console.print(table)


def by_articles(records: Sequence[Signal | Mark]) -> list[str]:
    """Returns the companies of an archive, the one with the most articles first."""
    articles = {
        (record.target, record.article)
        for record in records
        if isinstance(record, Signal) and record.target.startswith(_COMPANY)
    }
    counts = Counter(target for target, _ in articles)
    return sorted(counts, key=lambda target: (-counts[target], target))


def rows(alerts: Sequence[Alert], targets: Collection[str], months: float, budget: Budget) -> Iterator[list[str]]:
    """Yields a row of the table for each kind and tier; the last three are empty without a budget."""
    counts = Counter(
        (alert.kind, alert.tier) for alert in alerts if rate_name(alert) is not None and alert.target in targets
    )
    expected = expected_rates(budget)
    allowed = {
        ("spike", "page"): expected["spike_page"],
        ("spike", "notice"): expected["spike_notice"],
        ("slide", "notice"): expected["slide"],
    }
    for kind, tier in _KINDS:
        count = counts[kind, tier]
        row = [kind, tier, str(count), f"{count / months:.2f}"]
        if (rate := allowed.get((kind, tier))) is None:
            yield [*row, "", "", ""]
        else:
            mean = rate * len(targets) * months
            yield [*row, f"{mean:.1f}", f"{count / mean:.2f}", drift(count, mean)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[40, 100, 500])
    parser.add_argument("--seed", type=int, default=1130)
    parser.add_argument("--calibration", type=Path, help="file of riskwire calibrate; by default the one that ships")
    parser.add_argument("--cache", type=Path, default=default_cache())
    return parser.parse_args()


if __name__ == "__main__":
    main()
