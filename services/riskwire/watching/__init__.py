"""The watchlist while it is in use: changed by command, told to the readers in order, and given its past.

`editor` writes what people decide; `stage` turns each command into a record in the log of articles, so that every
reader changes over at the same place; `follow` keeps the linker of `score` up to date; `history` says what the store
knows of a target from before it was watched.
"""

from riskwire.watching.editor import Edit, Listed, WatchlistEditor
from riskwire.watching.follower import Follower
from riskwire.watching.history.stage import HistoryStage
from riskwire.watching.stage import WatchlistStage

__all__ = ["Edit", "Follower", "HistoryStage", "Listed", "WatchlistEditor", "WatchlistStage"]
