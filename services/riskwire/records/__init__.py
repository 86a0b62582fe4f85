"""The records of all topics, one file per topic. Field names are fixed: others read them."""

from riskwire.records.alert import (
    Alert,
    AlertDriver,
    AlertEvidence,
    AlertStatus,
    Tier,
)
from riskwire.records.analysis import (
    Analysis,
    ArticleRef,
    Mention,
    MentionType,
    SentenceAnalysis,
    TopicScore,
)
from riskwire.records.article import (
    ARTICLES,
    Article,
    ArticleRecord,
    Tick,
    WatchlistChange,
)
from riskwire.records.codec import (
    EARLIEST,
    LATEST,
    Probability,
    Record,
    Utc,
    content_id,
    from_ms,
    read_record,
    schema_error,
    to_json,
    to_ms,
)
from riskwire.records.command import (
    Command,
    CommandKind,
)
from riskwire.records.dead_letter import (
    DeadLetter,
)
from riskwire.records.decision import (
    ALERTS,
    AlertOrDecision,
    Decision,
    DecisionKind,
    FalseAlarmReason,
    covering_mute,
    mute_key,
    publishers_of,
)
from riskwire.records.feed import (
    Feed,
)
from riskwire.records.near_miss import (
    NearMiss,
    NearMissReason,
    near_miss_of_alert,
)
from riskwire.records.risk import (
    ADVERSE_FROM,
    MAX_EVENTS,
    EventScore,
    Level,
    LevelLabel,
    event_label,
)
from riskwire.records.score import (
    ScoreMention,
    ScoreRequest,
    ScoreResult,
    ScoreTarget,
    TargetSpan,
)
from riskwire.records.sentiment import (
    Sentiment,
)
from riskwire.records.signal import (
    PARTY_TARGET,
    SIGNALS,
    Evidence,
    Mark,
    Signal,
    SignalOrMark,
    TitleReading,
)
from riskwire.records.trend import (
    NearestWindow,
    TrendPoint,
)
from riskwire.vocabulary import EVENT_TYPES, AlertKind, Severity

__all__ = [
    "ADVERSE_FROM",
    "ALERTS",
    "ARTICLES",
    "EARLIEST",
    "EVENT_TYPES",
    "LATEST",
    "MAX_EVENTS",
    "PARTY_TARGET",
    "SIGNALS",
    "Alert",
    "AlertDriver",
    "AlertEvidence",
    "AlertKind",
    "AlertOrDecision",
    "AlertStatus",
    "Analysis",
    "Article",
    "ArticleRecord",
    "ArticleRef",
    "Command",
    "CommandKind",
    "DeadLetter",
    "Decision",
    "DecisionKind",
    "EventScore",
    "Evidence",
    "FalseAlarmReason",
    "Feed",
    "Level",
    "LevelLabel",
    "Mark",
    "Mention",
    "MentionType",
    "NearMiss",
    "NearMissReason",
    "NearestWindow",
    "Probability",
    "Record",
    "ScoreMention",
    "ScoreRequest",
    "ScoreResult",
    "ScoreTarget",
    "SentenceAnalysis",
    "Sentiment",
    "Severity",
    "Signal",
    "SignalOrMark",
    "TargetSpan",
    "Tick",
    "Tier",
    "TitleReading",
    "TopicScore",
    "TrendPoint",
    "Utc",
    "WatchlistChange",
    "content_id",
    "covering_mute",
    "event_label",
    "from_ms",
    "mute_key",
    "near_miss_of_alert",
    "publishers_of",
    "read_record",
    "schema_error",
    "to_json",
    "to_ms",
]
