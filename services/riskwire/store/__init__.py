"""The store: what serve, the command line and Grafana read, filled by the sink."""

from riskwire.store.reads.mentions import Mentioned, PastArticle, Spoken
from riskwire.store.rows import (
    AlertHistory,
    AlertRow,
    Change,
    CommandRow,
    Counts,
    Cursor,
    StoryRow,
    TargetKind,
    TargetOrder,
    TargetRow,
    Trend,
    TrendBucket,
)
from riskwire.store.sink import sink_stages
from riskwire.store.store import Store

__all__ = [
    "AlertHistory",
    "AlertRow",
    "Change",
    "CommandRow",
    "Counts",
    "Cursor",
    "Mentioned",
    "PastArticle",
    "Spoken",
    "Store",
    "StoryRow",
    "TargetKind",
    "TargetOrder",
    "TargetRow",
    "Trend",
    "TrendBucket",
    "sink_stages",
]
