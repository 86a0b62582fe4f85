"""The tables of the store.

Times are milliseconds since 1970 (UTC). `counted_ms` is the time at which an article counts on the page: of backfill
when it was published, otherwise when it was seen. A record that no query looks into is stored as JSON, in a column
`body`.

`articles`, `mentions`, `signals`, `trends`, `alerts`, `near_misses`, `commands` and `dead_letters` hold the content of
topics.
`stories`, `targets`, `target_sources`, `sources`, `alert_heads` and `changes` are derived from them in the same
transaction, so that no read has to scan all records.

On PostgreSQL the largest tables are partitioned by month, and text sorts by its bytes, as in SQLite.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from riskwire.store.risk_columns import risk_columns

SCHEMA_VERSION = 11
"""riskwire 0.1 wrote versions 1 to 3, and 0.2 before its release versions 4 to 10; they are refused."""

metadata = MetaData()

schema = Table("riskwire_schema", metadata, Column("version_num", String(32), primary_key=True))
"""The revision of the schema (`SCHEMA_VERSION` as text), where Alembic looks for it."""

counters = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Named numbers.

`changes`: the newest number of the change sequence. `dead-letters STAGE`: the dead letters ever received of a stage.
`command log`: the number of the command log (`command_log.py`).
"""
DEAD_LETTER_COUNTER = "dead-letters "
"""Start of the names in `counters` under which the dead letters of each stage are counted."""

articles = Table(
    "articles",
    metadata,
    Column("id", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("source", String, nullable=False),
    Column("publisher", String, nullable=False),
    Column("url", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("language", String),
    Column("bundle", String, nullable=False),
    Column("story", String),
    Column("topics", Text, nullable=False),
    Column("published_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("backfill", Boolean, nullable=False),
    Column("counted_ms", BigInteger, nullable=False),
    Column("negative", Float),
    Column("neutral", Float),
    Column("positive", Float),
    *risk_columns(),
    Column("adverse_from", Float),
    Column("read_with", BigInteger),
    Index("articles_seen", "seen_ms", "id"),
    Index("articles_counted", "counted_ms", "id"),
    Index("articles_status", "status"),
)
"""The newest analysis of each article. `read_with` and `adverse_from`: see `Analysis`.

The level is that of the worst mention, and the event types are with those of sentences that belong to no party.
"""

replaced_versions = Table(
    "replaced_versions",
    metadata,
    Column("article", String, primary_key=True),
    Column("read_with", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("replaced_versions_seen", "seen_ms"),
)
"""Earlier versions of articles, for the history of targets that are watched later.

Of each article, it holds the last version that was analysed with each earlier state of the watchlist. `read_with` is
-1 before the first change of the watchlist. `body` holds the row of `articles` and the rows of `mentions`.
"""

mentions = Table(
    "mentions",
    metadata,
    Column("article", String, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("entity", String, nullable=False),
    Column("key", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("sentence", Integer, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("weight", Float, nullable=False),
    Column("relevance", Float, nullable=False),
    Column("negative", Float, nullable=False),
    Column("neutral", Float, nullable=False),
    Column("positive", Float, nullable=False),
    *risk_columns(),
    Column("seen_ms", BigInteger, primary_key=True, autoincrement=False),
    Index("mentions_key", "key", "seen_ms"),
    Index("mentions_entity", "entity", "seen_ms"),
)
"""The names that each article mentions (`writes/mentions.py`), by descending weight.

`start` and `end` are the span in the title, or -1 if the first mention is in the text.
"""

sources = Table(
    "sources",
    metadata,
    Column("source", String, primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
)
"""The newest article of each source."""

signals = Table(
    "signals",
    metadata,
    Column("target", String, primary_key=True),
    Column("article", String, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("superseded", Boolean, nullable=False),
    Column("story", String, nullable=False),
    Column("source", String, nullable=False),
    Column("publisher", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("published_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("backfill", Boolean, nullable=False),
    Column("counted_ms", BigInteger, nullable=False),
    Column("negative", Float, nullable=False),
    Column("neutral", Float, nullable=False),
    Column("positive", Float, nullable=False),
    Column("score_1e4", Integer, nullable=False),
    *risk_columns(),
    Column("adverse_from", Float),
    Column("relevance", Float, nullable=False),
    Column("text", Text, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("bundle", String, nullable=False),
    Index("signals_story", "target", "story", "superseded"),
    Index("signals_seen", "seen_ms"),
    Index("signals_target_counted", "target", "counted_ms"),
    Index("signals_target_seen", "target", "seen_ms", "article", "version", "story"),
)
"""Every signal. `superseded`: a later version of the article has a signal of the same target.

The score is stored in ten-thousandths, so that a sum does not depend on the order of its terms.
"""

stories = Table(
    "stories",
    metadata,
    Column("target", String, primary_key=True),
    Column("story", String, primary_key=True),
    Column("articles", Integer, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("counted_ms", BigInteger, nullable=False),
    Column("score_1e4", Integer, nullable=False),
    Index("stories_target_counted", "target", "counted_ms", "story"),
    Index("stories_seen", "seen_ms"),
    Index("stories_counted", "counted_ms", "target", "score_1e4", "articles"),
)
"""One row per target and story, over the signals that are not superseded. The score is their sum."""

targets = Table(
    "targets",
    metadata,
    Column("target", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("name", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("named_ms", BigInteger, nullable=False),
    Column("stories", Integer, nullable=False),
    Column("articles", Integer, nullable=False),
    Column("counted_ms", BigInteger),
    Column("surprise", Float, nullable=False),
    Column("surprise_ms", BigInteger, nullable=False),
    Column("surprise_s", Integer, nullable=False),
    Column("nearest", Text),
    Index("targets_kind", "kind", "target"),
)
"""One row per target.

`counted_ms` is the newest one of its signals. `named_ms` is the time of the signal that gave name and groups; of a
watched entity without news it is `WITHOUT_NEWS` (`writes/watched.py`).
`surprise_ms` and `surprise_s` are start and length of the trend point that gave the surprise and, as JSON, the window
`nearest` to firing.
"""

target_sources = Table(
    "target_sources",
    metadata,
    Column("target", String, primary_key=True),
    Column("source", String, primary_key=True),
)
"""The sources with a signal of a target. The target is blind when all its sources are silent."""

trends = Table(
    "trends",
    metadata,
    Column("target", String, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("length_s", Integer, primary_key=True, autoincrement=False),
    Column("stories", Integer, nullable=False),
    Column("articles", Integer, nullable=False),
    Column("negative", Float, nullable=False),
    Column("neutral", Float, nullable=False),
    Column("positive", Float, nullable=False),
    Column("surprise", Float, nullable=False),
    Index("trends_start", "start_ms"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", String, primary_key=True),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("status", String, primary_key=True),
    Column("body", Text, nullable=False),
)
"""Every record of every episode."""

alert_heads = Table(
    "alert_heads",
    metadata,
    Column("id", String, primary_key=True),
    Column("target", String, nullable=False),
    Column("status", String, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("priority", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("alert_heads_at", "at_ms", "id"),
    Index("alert_heads_priority", "priority", "at_ms", "id"),
    Index("alert_heads_target", "target", "at_ms"),
)
"""The newest record of each episode. `rank` orders records of the same time: firing, escalated, resolved."""

near_misses = Table(
    "near_misses",
    metadata,
    Column("id", String, primary_key=True),
    Column("target", String, nullable=False),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("novelty", Float, nullable=False),
    Column("relevance", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("near_misses_target", "target", "at_ms", "id"),
    Index("near_misses_at", "at_ms"),
)
"""The stories that came near an event alert and did not notify."""

commands = Table(
    "commands",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("alert", String),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("target", String),
    Index("commands_alert", "alert", "at_ms"),
    Index("commands_kind", "kind", "at_ms"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=True),
    Column("stage", String, nullable=False),
    Column("topic", String, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("encoding", String, nullable=False),
    UniqueConstraint("stage", "topic", "partition", "offset", "at_ms"),
)
"""The newest dead letters, at most `store.keep_dead_letters`. `counters` has the number of all ever received."""

changes = Table(
    "changes",
    metadata,
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Index("changes_seq", "seq"),
)
"""The newest change of each alert, trend and target.

The table is bounded by their number, and a reader that returns after a break misses none.
"""

PARTITIONED = {
    "articles": "seen_ms",
    "mentions": "seen_ms",
    "signals": "seen_ms",
    "trends": "start_ms",
    "near_misses": "at_ms",
}
"""The tables that PostgreSQL partitions by month, and the column with the time, which is part of the primary key.

An article has one row though its key contains the time: the sink looks it up by its id (`writes/analyses.py`), as it
does a near miss (`writes/near_misses.py`). Of a signal, it looks up target and article (`writes/signals.py`).
"""


def _for_postgresql() -> None:
    """Declares partitions, and gives text the order of its bytes."""
    for table in set(metadata.tables.values()) - {schema}:  # Alembic creates that one
        if table.name in PARTITIONED:
            table.dialect_options["postgresql"]["partition_by"] = f"RANGE ({PARTITIONED[table.name]})"
        for column in table.columns:
            if isinstance(column.type, String):
                column.type = column.type.with_variant(type(column.type)(collation="C"), "postgresql")


_for_postgresql()
