"""The demo corpus: seven fictional weeks of business news in which one carmaker goes through a crisis.

Written for riskwire; companies, people, places, exchanges and outlets are made up, the dates lie in 2031. Four weeks of
ordinary news, mixed in mood, teach the monitor what is usual. On Monday 31 March 2031 Norvane Motors is hit by a rumour
and, within hours, by independent bad stories; further blows follow until Friday; then it goes quiet and recovers.

What must not alert: a day of good news in bad words (Castellmere Bank, 11 March), a rating agency speaking about others
(Meridex Ratings, 14 March), one bad results day (Pelladyne Pharma, 19 March), one bad story reprinted by seven outlets
(Grindlemoor Pipeline, 24 March). Three items are not in English. A reprint carries `reprint_of`, the URL of the first;
`negative_for` lists the ids of the companies for which an item is bad news, as its writer meant it.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

CRISIS = "entity:norvane"
"""The target that alerts."""


def corpus_path() -> Path:
    """The archive (JSON lines) that `riskwire demo` replays."""
    return _path("crisis.jsonl")


def watchlist_path() -> Path:
    """The watchlist of its companies."""
    return _path("watchlist.yaml")


def _path(name: str) -> Path:
    # riskwire is installed as files, never run from a zip: its model could not be mapped from one.
    return Path(str(files(__name__).joinpath(name)))
