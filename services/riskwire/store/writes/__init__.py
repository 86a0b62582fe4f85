"""Writes of the store, one module per topic. Every write is idempotent and independent of the order of the records."""

from riskwire.store.writes.alerts import write_alerts
from riskwire.store.writes.analyses import write_analyses
from riskwire.store.writes.commands import write_commands
from riskwire.store.writes.dead_letters import write_dead_letters
from riskwire.store.writes.near_misses import write_near_misses
from riskwire.store.writes.signals import write_signals
from riskwire.store.writes.trends import write_trends
from riskwire.store.writes.watched import WatchedTarget, list_watched

__all__ = [
    "WatchedTarget",
    "list_watched",
    "write_alerts",
    "write_analyses",
    "write_commands",
    "write_dead_letters",
    "write_near_misses",
    "write_signals",
    "write_trends",
]
