"""Builds `companies.tsv.gz` from the SEC's table of tickers.

    python -m riskwire.inference.linking.tables.build sec_company_tickers_exchange.json

The source is https://www.sec.gov/files/company_tickers_exchange.json (public domain as a work of the US government).
Each company is a line, in the order of the source: CIK, name, and tickers as `EXCHANGE:TICKER` separated by spaces. The
shipped file was built from the table as of 2025-08-24: 10,069 rows.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

TABLE = Path(__file__).with_name("companies.tsv.gz")


def compact(source: dict[str, list[list[object]]]) -> str:
    """Returns the text of the table: for each company, in the order of the source, its CIK, name and tickers.

    The three are separated by tabs. Tickers are `EXCHANGE:TICKER` in capitals, separated by spaces, with the exchange
    NONE where the source has none. Rows of one CIK form one line, with the name of the first row.

    Args:
        source: the SEC's JSON; each row of `data` is CIK, name, ticker and exchange.
    """
    companies: dict[int, tuple[str, list[str]]] = {}
    for cik, name, ticker, exchange in source["data"]:
        _, tickers = companies.setdefault(int(str(cik)), (" ".join(str(name).split()), []))
        tickers.append(f"{str(exchange or 'NONE').upper()}:{str(ticker).upper()}")
    return "".join(f"{cik}\t{name}\t{' '.join(tickers)}\n" for cik, (name, tickers) in companies.items())


def main(source: Path, target: Path = TABLE) -> None:
    """Reads the SEC's JSON and writes the table. Equal input gives equal bytes."""
    text = compact(json.loads(source.read_text(encoding="utf-8")))
    target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
