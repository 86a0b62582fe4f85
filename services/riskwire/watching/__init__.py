"""The watchlist at run time: edits by command, their way to the readers of articles, and the history of new targets.

- `editor`: writes the commands of people. `changes`: reads them. `follower`: the linker of the API.
- `stage`: turns each command into a change on every partition of articles, so that all readers apply it alike.
- `history/`: publishes the stored signals of a target from before it was watched.
"""

from riskwire.watching.editor import ListedEntry, WatchlistEdit, WatchlistEditor
from riskwire.watching.follower import Follower
from riskwire.watching.history import HistoryStage
from riskwire.watching.stage import WatchlistStage

__all__ = ["Follower", "HistoryStage", "ListedEntry", "WatchlistEdit", "WatchlistEditor", "WatchlistStage"]
