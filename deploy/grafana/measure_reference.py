"""Measures how the bundle labels an archive, and writes `reference.json`, with which *Model* compares the news.

Replay the archive into an empty store on PostgreSQL first:

    riskwire replay archive.jsonl --limit 2000 --data DIR
    python deploy/grafana/measure_reference.py postgresql://… "name of the archive"
    python deploy/grafana/build.py

Run it again for each new bundle. The dashboard says of which bundle the reference is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import psycopg

from riskwire_dashboards.reference import LABELS, REFERENCE, Reference, shares_of


def measure(connection: psycopg.Connection, archive: str) -> Reference:
    """Returns the reference that a store holds.

    Args:
        archive: what the reference calls the archive.

    Raises:
        SystemExit: the articles in the store were not all read by one bundle.
    """
    read = connection.execute("SELECT bundle, count(*) FROM articles WHERE status = 'ok' GROUP BY bundle").fetchall()
    if len(read) != 1:
        raise SystemExit(f"The store must hold articles that one bundle has read. It holds {dict(read)}.")
    ((bundle, articles),) = read
    shares = {
        name: _rounded(connection.execute(shares_of(label, "true").encode()).fetchall())
        for name, label in LABELS.items()
    }
    return Reference(bundle=bundle, archive=archive, articles=articles, shares=shares)


def _rounded(rows: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Returns the shares by label, the largest first."""
    return {label: round(share, 5) for label, share in sorted(rows, key=lambda row: (-row[1], row[0]))}


def main() -> None:
    """Measures a store and writes the reference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="URL of the store on PostgreSQL")
    parser.add_argument("archive", help="what the reference calls the archive")
    arguments = parser.parse_args()
    with psycopg.connect(arguments.store) as connection:
        measure(connection, arguments.archive).save(REFERENCE)


if __name__ == "__main__":
    main()
