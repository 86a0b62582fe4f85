"""History: the past of a newly watched target, published as signals.

- `stage`: a command in, the signals of the target's past out.
- `past`: which signals those are. Pure.
- `store_wait`: waits until the store contains everything that infer read before the command took effect.
- `log_identity`: makes sure that the offsets in the store belong to this log of commands.
"""

from riskwire.watching.history.stage import HistoryStage

__all__ = ["HistoryStage"]
