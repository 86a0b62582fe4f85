"""Event alerts: something material happened to a party, and one credible story is enough.

- `families.yaml`, `rules`: which stories are reported, in which tier, and when the same is new again.
- `words`: what the words of a sentence state, fear or deny.
- `reading`: what a signal says happened; `memory`: what a target was notified of.
- `watch`: decides on the signals of a bucket; `told`, `explain`: the records and texts that result.
"""

from riskwire.alerting.events.rules import EventRules, load_rules
from riskwire.alerting.events.watch import EventWatch

__all__ = ["EventRules", "EventWatch", "load_rules"]
