"""The store: the database behind serve, the command line and Grafana. The sink fills it."""

from riskwire.store.reads.article_trace import StoredArticle
from riskwire.store.reads.history import MentionSummary, PastArticle, PastSignal
from riskwire.store.reads.near_misses import NearMissQuery
from riskwire.store.reads.target_figures import TargetFigures
from riskwire.store.rows import (
    AlertHistory,
    AlertOrder,
    AlertRow,
    Change,
    CommandRow,
    Counts,
    Cursor,
    StatusFilter,
    StoryRow,
    TargetKind,
    TargetOrder,
    TargetRow,
    Trend,
    TrendBucket,
)
from riskwire.store.sink import sink_stages
from riskwire.store.store import Store
from riskwire.store.writes import WatchedTarget

__all__ = [
    "AlertHistory",
    "AlertOrder",
    "AlertRow",
    "Change",
    "CommandRow",
    "Counts",
    "Cursor",
    "MentionSummary",
    "NearMissQuery",
    "PastArticle",
    "PastSignal",
    "StatusFilter",
    "Store",
    "StoredArticle",
    "StoryRow",
    "TargetFigures",
    "TargetKind",
    "TargetOrder",
    "TargetRow",
    "Trend",
    "TrendBucket",
    "WatchedTarget",
    "sink_stages",
]
