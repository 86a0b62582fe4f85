"""Alerting: follows each target's negative news through time and fires when it builds up faster than it should.

A pure core: time comes in through marks and signals only, and no file here holds a socket, a file or a clock.

`clock` says which buckets may close; `exposure` how much news there was; `window` keeps a target's recent stories
(`told` finds them again) and `baseline` its past; `detector` measures the surprise; `episode` decides to fire, escalate
and resolve; `explain` says why; `trend` sums up minutes; `book` is all that is kept of one partition, and `task` turns
records into it and back.
"""

from riskwire.alerting.stage import AlertStage

__all__ = ["AlertStage"]
