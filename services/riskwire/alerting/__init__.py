"""Alerting: follows the negative news of each target and fires when it builds up faster than it should.

The core is pure: time enters only through marks and signals, and no file here opens a socket or file or reads a clock.

- `clock`: which buckets may close; `exposure`: how much news there is.
- `target_story`, `known_stories`, `story_window`: the recent stories of a target; `baseline`: its past.
- `detectors/`: how surprising a window is; `episode`: fire, escalate, resolve; `explain`: why.
- `trend`: sums of a minute; `target`: one target; `book`: the targets of one partition; `stage`: records in and out.
"""

from riskwire.alerting.stage import AlertStage

__all__ = ["AlertStage"]
