"""Compares the records of two data directories, byte for byte, topic by topic.

    python tests/bench/compare_records.py OLD NEW

Both hold an embedded bus of any version, for example after `riskwire replay ARCHIVE --data DIR --speed max` with two
versions of the code. Records of a topic are compared as sorted lists, since their order between partitions is free.
Exits with 1 if a topic differs.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from pathlib import Path

TOPICS = ("articles", "analyses", "signals", "trends", "alerts", "near-misses")
OFFSET_BITS = 40
"""A record's id is its partition's slot and its offset in one number."""
MAX_SHOWN = 400


def records(data: Path, topic: str) -> list[bytes]:
    """Returns the records of a topic, sorted. Prints how many have been trimmed, which means deleted since.

    Raises:
        sqlite3.Error: the file is missing or is no embedded bus.
    """
    connection = sqlite3.connect(f"{(data / 'bus.sqlite').resolve().as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT value FROM records JOIN partitions ON slot = id >> ? WHERE topic = ?", (OFFSET_BITS, topic)
        ).fetchall()
        (published,) = connection.execute(
            "SELECT SUM(next_offset) FROM partitions WHERE topic = ?", (topic,)
        ).fetchone()
    finally:
        connection.close()
    if len(rows) != published:
        print(f"{data}: {published - len(rows)} of {published} {topic} were trimmed and are not compared")
    return sorted(bytes(value) for (value,) in rows)


def main() -> int:
    """Prints a line a topic, and up to two records that only one side has. Returns 1 if a topic differs, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args()
    differs = False
    for topic in TOPICS:
        old, new = records(options.old, topic), records(options.new, topic)
        equal = old == new
        differs |= not equal
        print(f"{topic:<9} {len(old):>7} {len(new):>7}  {'equal' if equal else 'DIFFERENT'}")
        if not equal:
            missing, added = set(old) - set(new), set(new) - set(old)
            for sign, values in (("-", missing), ("+", added)):
                for value in sorted(values)[:2]:
                    print(f"  {sign} {value[:MAX_SHOWN].decode(errors='replace')}")
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
