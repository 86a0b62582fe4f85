"""The whole chain: articles a second, memory along the way, and seconds from `make run` to the page.

    python tests/bench/bench_chain.py [ARCHIVE] [--limit N]

Without an archive the demo's corpus is replayed. Memory is the resident set of the process at quarters of the way: flat
means that the last is about the second. Runs what the stages run: one engine, SQLite bus and store, default settings.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from riskwire.demo import corpus_path
from riskwire.ingest.replay.archive import open_archive

ROOT = Path(__file__).parents[2]
RISKWIRE = Path(sys.executable).with_name("riskwire")


def resident_mb(pid: int) -> float:
    """Returns the resident memory of a process in MiB, or 0 if it has just exited."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(match[1]) / 1024 if match else 0.0


def replay(archive: Path, limit: int | None, data: Path) -> tuple[float, list[float]]:
    """Replays an archive through all stages in a process. Exits if it fails.

    Args:
        limit: the most articles that are replayed; None for all.
        data: the data directory that the replay fills.

    Returns:
        the seconds from start to end of the process, and its resident memory in MiB about every half second.
    """
    words = [str(RISKWIRE), "replay", str(archive), "--data", str(data)]
    words += ["--limit", str(limit)] if limit else []
    began = time.monotonic()
    process = subprocess.Popen(words, env=os.environ | {"RISKWIRE_LOG__LEVEL": "error"})
    memory: list[float] = []
    while process.poll() is None:
        memory.append(resident_mb(process.pid))
        try:
            process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            continue
    if process.returncode:
        sys.exit(f"the replay failed with status {process.returncode}")
    return time.monotonic() - began, [size for size in memory if size]


def score_speed(archive: Path, most: int) -> float:
    """Returns the sentences per second of `riskwire score` on the archive's texts, start of the process included.

    Args:
        most: the most texts that are scored.
    """
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.jsonl"
        with texts.open("w", encoding="utf-8") as file:
            opened = open_archive(archive)
            for line in islice(opened.lines(1_000_000), most):
                item = opened.reader.read(line)
                text = f"{item.title}\n{item.summary or item.text or ''}"
                file.write(json.dumps({"id": line.number, "text": text}) + "\n")
        began = time.monotonic()
        done = subprocess.run([str(RISKWIRE), "score", str(texts)], capture_output=True, check=True)
        took = time.monotonic() - began
        return sum(len(json.loads(line)["sentences"]) for line in done.stdout.splitlines()) / took


def seconds_to_page() -> float:
    """Returns the seconds from `make run` to the first answer of the page, and stops it."""
    with tempfile.TemporaryDirectory() as data:
        began = time.monotonic()
        words = ["make", "run", f"ARGS=--port 0 --data {data}"]
        process = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
        assert process.stderr is not None
        address = next(match for line in process.stderr if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
        urllib.request.urlopen(address[0], timeout=30).read()
        took = time.monotonic() - began
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
        return took


def main() -> None:
    """Prints the table of all measurements: a replay's speed, memory and size, the speed of `score`, and the start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, nargs="?", default=corpus_path())
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        took, memory = replay(options.archive, options.limit, Path(folder))
        status = subprocess.run(
            [str(RISKWIRE), "status", "--json", "--data", folder], capture_output=True, text=True, check=True
        )
        topics = json.loads(status.stdout)["topics"]
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
    quarters = [memory[min(len(memory) - 1, len(memory) * part // 4)] for part in range(1, 5)]
    table = Table("what", "figure", title=f"{options.archive.name}, {topics['analyses']} articles")
    table.add_row("articles a second, start to end of the process", f"{topics['analyses'] / took:.0f}")
    table.add_row("resident memory at 1/4, 1/2, 3/4, end (MB)", ", ".join(f"{size:.0f}" for size in quarters))
    table.add_row("largest resident memory (MB)", f"{max(memory):.0f}")
    table.add_row(
        "signals, trend points, alert records", f"{topics['signals']}, {topics['trends']}, {topics['alerts']}"
    )
    table.add_row("data directory (MB)", f"{size:.0f}")
    speed = score_speed(options.archive, options.limit or 5_000)
    table.add_row("sentences a second of `riskwire score`", f"{speed:.0f}")
    table.add_row("seconds from `make run` to the page", f"{seconds_to_page():.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
