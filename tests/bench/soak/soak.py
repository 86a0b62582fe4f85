"""A soak: `riskwire run` for half an hour at ten times a busy day, with its memory, its lag and the age of news.

    python tests/bench/soak/soak.py [ARCHIVE] [--minutes 30] [--rate 20000] [--days 6] [--trace-memory FILE]

News with leads appears on local feeds in real time, and the monitor polls them with default settings (except
addresses, and feeds polled every 30 s). ARCHIVE (JSON lines, plain or .gz, with `title` and `summary`) gives real
texts; without one they are made up. Figures come from `/metrics`, as Prometheus would see them.

The monitor remembers stories for three days. So its clock, and the dates of the news, run so fast that `--days` pass in
the soak (0: in real time). What is remembered is then full at half time, and the cache of sentences at two thirds. The
exit code is 1 if the memory of the last third grows, or if lag is left two minutes after the last item. With
`--trace-memory` the monitor writes where its memory is at the end of each third; it is then larger and slower.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

import yaml
from broker import free_ports
from cli import environment
from event_time import VARIABLE, EventTime
from latency_news import Feeds, Item, script
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[3]
MONITOR = Path(__file__).with_name("monitor.py")
SAMPLE_S = 10.0
READY_S = 180.0
DRAIN_S = 120.0
MAX_GROWTH_MB = 25.0
"""Growth of the last third that still counts as flat: a cache or an allocator does that, a leak does more."""
STAGES = ("infer", "alert", "sink-analyses", "sink-signals")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look at the process showed, `after_s` seconds after the first item."""

    after_s: float
    memory_mb: float
    cpu_s: float
    articles: float
    lag_records: float
    lag_s: float


class Figures:
    """One answer of `/metrics`."""

    def __init__(self, text: str) -> None:
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def of(self, name: str, **labels: str) -> list[float]:
        """Returns the values of the series of a name that have these labels."""
        return [
            sample.value
            for sample in self._samples
            if sample.name == name and all(sample.labels.get(label) == value for label, value in labels.items())
        ]

    def quantile(self, part: float, name: str, **labels: str) -> float:
        """Returns a quantile of a histogram as Prometheus computes it: linear within a bucket; NaN without values."""
        buckets = sorted(
            (float(sample.labels["le"]), sample.value)
            for sample in self._samples
            if sample.name == f"{name}_bucket" and all(sample.labels.get(key) == value for key, value in labels.items())
        )
        if not buckets or not buckets[-1][1]:
            return math.nan
        rank, low, below = part * buckets[-1][1], 0.0, 0.0
        for high, count in buckets:
            if count >= rank:
                return low if math.isinf(high) else low + (high - low) * (rank - below) / max(count - below, 1e-9)
            low, below = high, count
        return low


def archive_items(path: Path, count: int, seconds: float, feeds: int) -> list[Item]:
    """Returns items with the titles and leads of an archive, at random moments; it starts again when it ends."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
        texts = [(line["title"], line.get("summary") or "") for line in map(json.loads, islice(lines, count))]
    chance = random.Random(12)
    moments = sorted(chance.uniform(0, seconds) for _ in range(count))
    return [
        Item(after_s, chance.randrange(feeds), number, title, lead)
        for number, (after_s, (title, lead)) in enumerate(zip(moments, cycle(texts), strict=False))
    ]


def serve_feeds(feeds: Feeds) -> ThreadingHTTPServer:
    """Serves the feeds at `/NUMBER` in a thread, on a free port."""
    lock = threading.Lock()

    class SoakHandler(BaseHTTPRequestHandler):
        """Answers with the document of a feed as it is now."""

        def do_GET(self) -> None:
            with lock:
                body = feeds.document(int(self.path.strip("/")), time.time())
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), SoakHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def family_of(pid: int) -> list[int]:
    """Returns a process and its children."""
    pids = [pid]
    for parent in pids:
        pids += map(int, _proc(f"{parent}/task/{parent}/children").split())
    return pids


def resident_mb(pid: int) -> float:
    """Returns the resident memory of a process and its children in MiB."""
    matches = (re.search(r"VmRSS:\s+(\d+) kB", _proc(f"{member}/status")) for member in family_of(pid))
    return sum(int(match[1]) for match in matches if match) / 1024


def cpu_s(pid: int) -> float:
    """Returns the CPU time of a process and its children, those that have ended included."""
    ticks = 0
    for member in family_of(pid):
        fields = _proc(f"{member}/stat").rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _proc(name: str) -> str:
    """Returns a file of /proc, or nothing if the process has ended."""
    try:
        return Path("/proc", name).read_text(encoding="ascii")
    except OSError:
        return ""


def figures(port: int) -> Figures:
    """Returns what the process shows now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return Figures(answer.read().decode())


def sample(process: subprocess.Popen[str], port: int, began: float) -> tuple[Sample, Figures]:
    """Looks at the process once."""
    now = figures(port)
    return (
        Sample(
            time.monotonic() - began,
            resident_mb(process.pid),
            cpu_s(process.pid),
            sum(now.of("riskwire_ingest_articles_total")),
            sum(now.of("riskwire_stage_lag_records")),
            max(now.of("riskwire_stage_lag_seconds"), default=0.0),
        ),
        now,
    )


def wait_until_ready(process: subprocess.Popen[str], port: int) -> None:
    """Waits until the process answers that it is ready. Exits if it ends before."""
    deadline = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    sys.exit("riskwire did not become ready")


def soak(items: list[Item], options: argparse.Namespace, folder: Path) -> tuple[list[Sample], Figures]:
    """Runs the monitor while the items appear, and until it has read them. Returns the samples and the last figures."""
    clock = EventTime.over(options.days, options.minutes * 60, time.time())
    feeds = Feeds(items, options.feeds, clock.at)
    server = serve_feeds(feeds)
    (port,) = free_ports(1)
    listed = [
        {"id": f"wire-{number}", "url": f"http://127.0.0.1:{server.server_port}/{number}", "every_s": 30}
        for number in range(options.feeds)
    ]
    (folder / "feeds.yaml").write_text(yaml.safe_dump(listed), encoding="utf-8")
    env = environment(
        RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS='["127.0.0.1"]',
        RISKWIRE_WEB__PROBE_PORT=str(port),
        RISKWIRE_LOG__LEVEL="error",
        **{VARIABLE: clock.variable} if options.days else {},
        **{"SOAK_TRACE": str(options.trace_memory.resolve())} if options.trace_memory else {},
    )
    words = ["run", "--feeds", folder / "feeds.yaml", "--data", folder / "data", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, str(MONITOR), *map(str, words)], stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT
    )
    assert process.stderr is not None
    threading.Thread(target=_pass_on, args=(process.stderr,), daemon=True).start()
    try:
        wait_until_ready(process, port)
        began = time.monotonic()
        feeds.begin(time.time())
        samples: list[Sample] = []
        traced = 0
        end = options.minutes * 60 + DRAIN_S
        while process.poll() is None:
            try:
                newest, now = sample(process, port, began)
            except OSError as error:  # as Prometheus misses a sample
                sys.stderr.write(f"no answer from /metrics: {error}\n")
                continue
            samples.append(newest)
            if options.trace_memory and newest.after_s > (traced + 1) * options.minutes * 20:
                process.send_signal(signal.SIGUSR1)
                traced += 1
            drained = newest.articles >= len(items) and not newest.lag_records
            if newest.after_s > end or (drained and not feeds.left):
                return samples, now
            time.sleep(SAMPLE_S)
        sys.exit(f"riskwire ended with code {process.returncode}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        server.shutdown()


def _pass_on(lines: Iterator[str]) -> None:
    """Passes the log of the monitor on."""
    for line in lines:
        sys.stderr.write(line)


def report(samples: list[Sample], last: Figures, items: int, console: Console) -> bool:
    """Prints the figures. Returns whether memory is flat and no lag is left."""
    table = Table("minute", "memory, MiB", "CPU, s", "articles", "lag, records", "lag, s", box=None)
    for number, reading in enumerate(samples):
        if number % max(1, len(samples) // 15) == 0 or reading is samples[-1]:
            cells = (
                reading.after_s / 60,
                reading.memory_mb,
                reading.cpu_s,
                reading.articles,
                reading.lag_records,
                reading.lag_s,
            )
            table.add_row(*(f"{cell:,.1f}" if place in (0, 5) else f"{cell:,.0f}" for place, cell in enumerate(cells)))
    console.print(table)
    ages = Table("age of news, s", "p50", "p95", "p99", box=None)
    for stage in STAGES:
        quantiles = (last.quantile(part, "riskwire_news_age_seconds", stage=stage) for part in (0.5, 0.95, 0.99))
        ages.add_row(stage, *(f"{quantile:.1f}" for quantile in quantiles))
    console.print(ages)
    last_third = [reading.memory_mb for reading in samples[len(samples) * 2 // 3 :]]
    part = max(1, len(last_third) // 3)
    growth = sum(last_third[-part:]) / part - sum(last_third[:part]) / part
    final = samples[-1]
    letters = sum(last.of("riskwire_dead_letters_total"))
    console.print(
        f"{final.articles:,.0f} of {items:,} articles in {final.after_s / 60:.1f} min; "
        f"memory of the last third {growth:+.1f} MiB; lag left {final.lag_records:,.0f} records; "
        f"largest lag {max(reading.lag_s for reading in samples):.0f} s; dead letters {letters:,.0f}; "
        f"{(final.cpu_s - samples[0].cpu_s) / max(1.0, final.after_s - samples[0].after_s):.2f} of a core; "
        f"load of the machine {os.getloadavg()[1]:.1f}",
        soft_wrap=True,
    )
    return growth <= MAX_GROWTH_MB and not final.lag_records and final.articles >= items


def main() -> None:
    """Runs the soak and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", nargs="?", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=20_000, help="articles an hour")
    parser.add_argument("--feeds", type=int, default=40)
    parser.add_argument("--days", type=float, default=6.0, help="days of event time that pass; 0 for real time")
    parser.add_argument("--trace-memory", type=Path, help="file for where the memory is")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the monitor is then stopped too
    seconds = options.minutes * 60
    if options.archive:
        items = archive_items(options.archive, round(seconds * options.rate / 3_600), seconds, options.feeds)
    else:
        items = script(seconds, options.rate, options.feeds, in_trouble=max(1, round(options.minutes)), seed=12)
    with tempfile.TemporaryDirectory() as folder:
        samples, last = soak(items, options, Path(folder))
    if not report(samples, last, len(items), Console()):
        sys.exit(1)


if __name__ == "__main__":
    main()
