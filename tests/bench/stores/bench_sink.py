"""Measures how fast the sink writes to a store, beside bare psycopg: `python tests/bench/stores/bench_sink.py`.

The store looks records up, keeps stories and targets, and notes changes. Bare psycopg only inserts rows of `signals`:
by a statement a row, by statements of many rows, by statements with an array a column, or by COPY into a temporary
table, from which they are inserted. All inserts skip existing rows (ON CONFLICT). A batch is a transaction.

Rates are per second of CPU time, of this process and the server together: what one core does on an idle machine. The
time of the disk is left out (PostgreSQL runs without fsync).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

import fictional
import psycopg
from stores.postgresql import PostgresServer, missing_postgresql

from riskwire.settings import Settings, StoreSettings
from riskwire.store import Store
from riskwire.store.writes.signals import _signal_row

Rows = Sequence[dict[str, Any]]


def parts(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yields the rows in batches."""
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def one_row(connection: psycopg.Connection[Any], rows: Rows) -> None:
    """Inserts rows by one statement each."""
    names = list(rows[0])
    statement = f"{_insert(names)} VALUES ({', '.join(f'%({name})s' for name in names)}) ON CONFLICT DO NOTHING"
    for row in rows:
        connection.execute(statement.encode(), row)


def many_rows(connection: psycopg.Connection[Any], rows: Rows) -> None:
    """Inserts rows by one statement of up to 1,000 rows."""
    names = list(rows[0])
    for part in parts(rows, 1_000):
        values = ", ".join([f"({', '.join(['%s'] * len(names))})"] * len(part))
        statement = f"{_insert(names)} VALUES {values} ON CONFLICT DO NOTHING"
        connection.execute(statement.encode(), [row[name] for row in part for name in names])


def by_arrays(connection: psycopg.Connection[Any], rows: Rows) -> None:
    """Inserts rows by one statement that holds an array of values for each column, as the store does."""
    names = list(rows[0])
    arrays = ", ".join(f"%s::{_type_of(rows, name)}[]" for name in names)
    statement = f"{_insert(names)} SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"
    connection.execute(statement.encode(), [[row[name] for row in rows] for name in names])


def _type_of(rows: Rows, name: str) -> str:
    types = {type(row[name]) for row in rows} - {type(None)}
    return {bool: "boolean", int: "bigint", float: "double precision"}.get(next(iter(types), str), "text")


def by_copy(connection: psycopg.Connection[Any], rows: Rows) -> None:
    """Copies rows into a temporary table, and inserts them from there."""
    names = list(rows[0])
    columns = ", ".join(f'"{name}"' for name in names)
    connection.execute("CREATE TEMPORARY TABLE IF NOT EXISTS part (LIKE bare) ON COMMIT DELETE ROWS")
    with connection.cursor().copy(f"COPY part ({columns}) FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row([row[name] for name in names])
    connection.execute(f"{_insert(names)} SELECT {columns} FROM part ON CONFLICT DO NOTHING".encode())


def _insert(names: Sequence[str]) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO bare ({columns})"


def bare(server: PostgresServer, url: str, write: Callable[..., None], rows: Rows, batch: int) -> float:
    """Returns the rows a second of a way to insert, without the store."""
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute("CREATE TABLE bare (LIKE signals INCLUDING ALL)")
        connection.commit()
        start = cpu_s(server)
        for part in parts(rows, batch):
            write(connection, part)
            connection.commit()
        return len(rows) / (cpu_s(server) - start)


def stored(server: PostgresServer, write: Callable[[list[Any]], None], records: Sequence[Any], batch: int) -> float:
    """Returns the records a second of a writing method of a store."""
    start = cpu_s(server)
    for part in parts(records, batch):
        write(list(part))
    return len(records) / (cpu_s(server) - start)


def cpu_s(server: PostgresServer) -> float:
    """Returns the CPU time of this process and of the server so far."""
    return time.process_time() + server.cpu_s()


def main() -> int:
    """Prints the rates, for each size of a batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=10_000)
    parser.add_argument("--batch", type=int, action="append", help="records of a batch; default: 64, 256 and 1,024")
    options = parser.parse_args()
    if (missing := missing_postgresql()) is not None:
        print(missing, file=sys.stderr)
        return 2
    signals = [
        fictional.signal(
            f"a{number // 3}",
            target="market" if number % 3 == 0 else f"entity:company-{number * 7 % 2_000}",
            at=fictional.NOON + timedelta(seconds=number),
            story=f"story-{number // 9}",
        )
        for number in range(options.signals)
    ]
    analyses = [
        fictional.analysis(f"a{number}", at=fictional.NOON + timedelta(seconds=number))
        for number in range(options.signals // 3)
    ]
    trends = [
        fictional.trend(fictional.NOON + timedelta(minutes=number // 500), target=f"entity:company-{number % 500}")
        for number in range(options.signals)
    ]
    rows = [_signal_row(signal, superseded=False) for signal in signals]
    sizes = options.batch or (64, 256, 1_024)
    print(f"{'records a CPU second, in batches of':<44}" + "".join(f"{size:>9,}" for size in sizes))
    table: dict[str, list[float]] = {}
    with PostgresServer.running() as server:
        for batch in sizes:
            with tempfile.TemporaryDirectory() as folder:
                url = server.new_store()
                for kind, settings in (
                    ("SQLite", Settings(data=Path(folder))),
                    ("PostgreSQL", Settings(data=Path(folder), store=StoreSettings(url=url))),
                ):
                    with Store.open(settings) as store:
                        for name, write, records in (
                            ("signals", store.write_signals, signals),
                            ("signals again", store.write_signals, signals),
                            ("analyses", store.write_analyses, analyses),
                            ("trends", store.write_trends, trends),
                        ):
                            table.setdefault(f"store, {kind}: {name}", []).append(stored(server, write, records, batch))
                for name, way in (
                    ("one row a statement", one_row),
                    ("many rows a statement", many_rows),
                    ("arrays", by_arrays),
                    ("COPY, then INSERT", by_copy),
                ):
                    table.setdefault(f"bare psycopg: {name}", []).append(bare(server, url, way, rows, batch))
    for name, rates in table.items():
        print(f"{name:<44}" + "".join(f"{rate:>9,.0f}" for rate in rates))
    return 0


if __name__ == "__main__":
    sys.exit(main())
