"""Exactly once on a real Kafka, beside a bare aiokafka loop doing the same in the same run.

    python tests/bench/bench_kafka.py [--articles N] [--rounds N] [--partitions N] [--batch N] [--only NAME,NAME]

Needs Kafka (KAFKA_HOME, or `make kafka`); starts its own broker. Both sides are one process on one event loop (uvloop)
with the same partitions, compression and sizes. Rounds alternate, the first warms up, and the table shows medians. The
bare loop has one transactional producer for all partitions and sends prepared bytes; riskwire has one producer a
partition. Processor time is that of this process. On a busy machine it says more than elapsed time.
Names: bus, infer, alert, sink, model, transaction, restore.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

import uvloop
from broker import Broker, missing_prerequisite
from kafka_bench.bench import Bench
from kafka_bench.costs import restore_rows, transaction_rows
from kafka_bench.rows import alert_and_sink_rows, infer_rows, real_model_row
from rich.console import Console
from rich.table import Table

from riskwire.logs import configure_logging
from riskwire.settings import LogSettings

SPEED = ("", "riskwire", "bare", "ratio", "riskwire, µs", "bare, µs", "ratio")


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table unless it has no rows. The first column is aligned left, the others right."""
    if rows:
        table = Table(title=title)
        for at, column in enumerate(columns):
            table.add_column(column, justify="right" if at else "left")
        for row in rows:
            table.add_row(*row)
        Console(width=140).print(table)


async def measured(bench: Bench) -> None:
    """Measures what `--only` names, or everything, and prints each table as soon as it is ready; then the load."""
    options = bench.options
    both = f"batches of {options.batch}, {options.partitions} partitions, one process a side"
    rows = []
    if bench.wants("bus") or bench.wants("infer"):
        rows += await infer_rows(bench)
    if bench.wants("alert") or bench.wants("sink"):
        rows += await alert_and_sink_rows(bench)
    show(f"articles a second, processor time an article; {both}", SPEED, [row.cells() for row in rows])
    if bench.wants("model"):
        speed, sizes = await real_model_row(bench)
        show(f"articles a second with the real model; {both}", SPEED, speed)
        show("bytes an article on the broker's disk", ("topic", "bytes"), sizes)
    if bench.wants("transaction"):
        rows_of_cost = await transaction_rows(bench)
        show("milliseconds of one step, one after another", ("articles", "riskwire", "bare"), rows_of_cost)
    if bench.wants("restore"):
        show(f"restoring {options.targets:,} targets on one partition", ("", ""), await restore_rows(bench))
    print(f"load {os.getloadavg()[1]:.1f}")


def main() -> None:
    """Parses the options, starts a broker and measures. Exits with what is missing if no broker can be started."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--read", type=int, default=800, help="articles read by the real model in a round")
    parser.add_argument("--targets", type=int, default=50_000, help="targets restored")
    parser.add_argument("--only", default="", help="names of the rows to measure")
    options = parser.parse_args()
    missing = missing_prerequisite()
    if missing is not None:
        sys.exit(missing)
    configure_logging(LogSettings(level="error"))
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "kafka").running() as broker:
        uvloop.run(measured(Bench(broker, options)))


if __name__ == "__main__":
    main()
