"""The demo corpus: seven fictional weeks of business news in which one carmaker goes through a crisis.

It was written for riskwire. Companies, people, places, exchanges and outlets are fictional, and the dates are in 2031.
Four weeks of ordinary news with mixed sentiment are the baseline. On Monday 31 March 2031 a rumour hits Norvane Motors,
and within hours independent bad stories follow. More bad news comes until Friday; then the company recovers.

Four traps must not alert:

- good news in negative words: Castellmere Bank, 11 March;
- a rating agency that speaks about others: Meridex Ratings, 14 March;
- one day of bad results: Pelladyne Pharma, 19 March;
- one bad story that seven outlets reprint: Grindlemoor Pipeline, 24 March.

Three items are not in English. A reprint has `reprint_of`, the URL of the original. `negative_for` lists the ids of the
companies for which the author meant an item to be bad news.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

CRISIS = "entity:norvane"
"""The only target that should alert."""


def corpus_path() -> Path:
    """Returns the path of the archive (JSON lines) that `riskwire demo` replays."""
    return _path("crisis.jsonl")


def watchlist_path() -> Path:
    """Returns the path of the watchlist with its companies."""
    return _path("watchlist.yaml")


def _path(name: str) -> Path:
    # riskwire is always installed as files: its model cannot be memory-mapped from a zip archive.
    return Path(str(files(__name__).joinpath(name)))
