"""How many of the notifications that were read blindly are material, or at least mild, for their target.

    riskwire backtest ARCHIVE --events EVENTS --out DIR --sample 100 --seed 1202     # writes DIR/sample.tsv
    python tests/bench/alerting/bench_verdicts.py

A reader who saw neither level nor type nor score filled in the verdicts by the guide of the risk labels: 2 material, 1
mild, 0 neutral, + favourable. `verdicts.tsv` names each story by its line in the archive, from 0, and holds no text.
The draw was of the bundle 2.2.0 with its thresholds, whole articles.
"""

from __future__ import annotations

import csv
from collections import Counter
from math import sqrt
from pathlib import Path

VERDICTS = Path(__file__).with_name("verdicts.tsv")
LEVELS = ("2", "1", "0", "+")


def main() -> None:
    """Prints the shares with their 95 % intervals."""
    with VERDICTS.open(encoding="utf-8", newline="") as file:
        counts = Counter(row["verdict"] for row in csv.DictReader(file, delimiter="\t"))
    if unknown := set(counts) - set(LEVELS):
        raise SystemExit(f"{VERDICTS}: unknown verdict {sorted(unknown)[0]!r}; known: {', '.join(LEVELS)}")
    read = counts.total()
    for name, hits in (("material", counts["2"]), ("at least mild", counts["2"] + counts["1"])):
        low, high = interval(hits, read)
        print(f"{name}: {hits} of {read}, {hits / read:.2f} ({low:.2f} to {high:.2f})")


def interval(hits: int, read: int, deviations: float = 1.96) -> tuple[float, float]:
    """Returns Wilson's score interval of a share. Source: Wilson (1927), Probable Inference."""
    share, square = hits / read, deviations**2
    middle = (share + square / (2 * read)) / (1 + square / read)
    reach = deviations * sqrt(share * (1 - share) / read + square / (4 * read**2)) / (1 + square / read)
    return middle - reach, middle + reach


if __name__ == "__main__":
    main()
