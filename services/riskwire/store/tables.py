"""The tables of the store. Times are milliseconds since 1970 (UTC); records that are only handed on are kept as JSON.

`articles`, `mentions`, `signals`, `trends`, `alerts`, `commands` and `dead_letters` hold what came over the topics.
`stories`, `targets`, `target_sources`, `sources`, `alert_heads` and `changes` are derived from them inside the same
transaction, so that a read never has to scan history.
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

SCHEMA_VERSION = 3
"""2: the table `mentions`, and `commands.target`. 3: the table `replaced`, `articles.read_with`,
and the index `signals_told`."""

metadata = MetaData()

schema = Table("riskwire_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

numbers = Table(
    "numbers",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Named counters: `changes`, the newest change; `dead-letters STAGE`, letters ever received of a stage."""

articles = Table(
    "articles",
    metadata,
    Column("id", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("source", String, nullable=False),
    Column("url", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("language", String),
    Column("bundle", String, nullable=False),
    Column("story", String),
    Column("topics", Text, nullable=False),
    Column("published_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("backfill", Boolean, nullable=False),
    Column("negative", Float),
    Column("neutral", Float),
    Column("positive", Float),
    Column("read_with", BigInteger),
    Index("articles_seen", "seen_ms", "id"),
    Index("articles_status", "status"),
)
"""The newest version of each article as its analysis tells it."""

replaced = Table(
    "replaced",
    metadata,
    Column("article", String, primary_key=True),
    Column("read_with", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("replaced_seen", "seen_ms"),
)
"""Of each article the last version that was read with an earlier watchlist than its newest one (-1: before any change):
who is new on the list is told of it, whenever that is. `body` is its row of `articles` and those of `mentions`."""

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
    Column("seen_ms", BigInteger, nullable=False),
    Index("mentions_key", "key", "seen_ms"),
    Index("mentions_entity", "entity", "seen_ms"),
)
"""Whom each article mentions (`write_mentions`), the weightiest first; `start` and `end`: where in the title, or -1."""

sources = Table(
    "sources",
    metadata,
    Column("source", String, primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
)
"""When each source was last heard."""

signals = Table(
    "signals",
    metadata,
    Column("target", String, primary_key=True),
    Column("article", String, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("superseded", Boolean, nullable=False),
    Column("story", String, nullable=False),
    Column("source", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("published_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("backfill", Boolean, nullable=False),
    Column("negative", Float, nullable=False),
    Column("neutral", Float, nullable=False),
    Column("positive", Float, nullable=False),
    Column("score_1e4", Integer, nullable=False),
    Column("relevance", Float, nullable=False),
    Column("text", Text, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("bundle", String, nullable=False),
    Index("signals_story", "target", "story", "superseded"),
    Index("signals_seen", "seen_ms"),
    Index("signals_told", "target", "seen_ms", "article", "version", "story"),
)
"""Every signal; `superseded` where a later version of the article speaks of the same target. The score is kept in
ten-thousandths, so that a mean does not depend on the order of summing."""

stories = Table(
    "stories",
    metadata,
    Column("target", String, primary_key=True),
    Column("story", String, primary_key=True),
    Column("articles", Integer, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("score_1e4", Integer, nullable=False),
    Index("stories_target_seen", "target", "seen_ms", "story"),
    Index("stories_seen", "seen_ms", "target", "score_1e4", "articles"),
)
"""One row per target and story, over the signals that are not superseded; the score is their sum."""

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
    Column("seen_ms", BigInteger),
    Column("surprise", Float, nullable=False),
    Column("surprise_ms", BigInteger, nullable=False),
    Column("surprise_s", Integer, nullable=False),
    Index("targets_kind", "kind", "target"),
)
"""One row per target; `surprise_ms` and `surprise_s` are start and length of the trend point that told the surprise."""

target_sources = Table(
    "target_sources",
    metadata,
    Column("target", String, primary_key=True),
    Column("source", String, primary_key=True),
)
"""Which sources have spoken of a target: it is blind when all of them are silent."""

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
    Column("body", Text, nullable=False),
    Index("alert_heads_at", "at_ms", "id"),
    Index("alert_heads_target", "target", "at_ms"),
)
"""The newest record of each episode; `rank` orders records of the same time: firing, escalated, resolved."""

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
"""The newest dead letters, bounded by `store.keep_dead_letters`; `numbers` counts all of them."""

changes = Table(
    "changes",
    metadata,
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Index("changes_seq", "seq"),
)
"""The newest change of each thing: bounded by the number of things, and a reader that was away misses none."""
