"""The settings tree: every setting, its default and bounds, documented where it is defined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from riskwire.errors import without_userinfo

ENV_PREFIX = "RISKWIRE_"


class Section(BaseModel):
    """A branch of the settings tree: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class BusSettings(Section):
    """Where records travel."""

    url: str = "embedded"
    """`embedded` (SQLite in the data directory) or `kafka://host:port[,host:port]`."""
    partitions: int = Field(default=2, ge=1, le=256)
    """Partitions per topic when the embedded bus is created; what comes out does not depend on it."""
    backlog: int = Field(default=5_000, ge=1)
    """Most records a topic may hold that some stage has not read; whoever writes beyond it waits."""
    keep_processed: int = Field(default=20_000, ge=0)
    """Records kept per partition after every stage has read them (embedded bus); older ones are trimmed."""
    batch: int = Field(default=256, ge=1, le=10_000)
    """Most records a stage takes in one atomic step."""


class KafkaSettings(Section):
    """How Kafka is reached and what its topics are like, where `bus.url` is `kafka://…`."""

    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$", max_length=100)
    """Put before every topic, group and transactional id, so that several monitors can share a cluster."""
    partitions: int = Field(default=8, ge=1, le=256)
    """Partitions that `riskwire topics create` gives a topic; what comes out does not depend on it."""
    replication: int | None = Field(default=None, ge=1, le=32)
    """Copies of each topic; 3 when not set, or as many as there are brokers where that is fewer."""
    deadline_s: float = Field(default=60.0, ge=1, le=600)
    """Deadline of one request or one atomic step; a step that takes longer is undone and its stage ends."""
    session_timeout_s: float = Field(default=15.0, ge=1, le=300)
    """A worker that is silent for this long loses its partitions to the others of its group."""
    stuck_after_s: float = Field(default=300.0, ge=5, le=86_400)
    """A service that reaches no broker, or whose stage makes no progress, for this long ends with a non-zero code."""
    max_record_bytes: int = Field(default=4_000_000, ge=100_000, le=100_000_000)
    """Largest record; a larger one goes to the dead letters."""
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """How the connection to the brokers is secured."""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """SASL mechanism, where `security` is sasl_plaintext or sasl_ssl."""
    username: str | None = None
    """SASL user."""
    password: SecretStr | None = None
    """SASL password."""
    password_file: Path | None = None
    """File that holds `password`."""
    ca_file: Path | None = None
    """Certificate authority (PEM) that signs the brokers; the system's own when not set."""
    cert_file: Path | None = None
    """Client certificate (PEM), where brokers ask for one."""
    key_file: Path | None = None
    """Private key (PEM, without a passphrase) of `cert_file`."""


class IngestSettings(Section):
    """How feeds are polled."""

    timeout_s: float = Field(default=20.0, gt=0, le=300)
    """Deadline of one fetch, redirects included."""
    max_bytes: int = Field(default=10_000_000, ge=1_000)
    """Largest feed document, counted after decompression; beyond it the fetch is dropped."""
    max_entries: int = Field(default=2_000, ge=1)
    """Most entries read of one document."""
    max_text: int = Field(default=20_000, ge=100)
    """Most characters kept of one article's text."""
    max_redirects: int = Field(default=5, ge=0, le=20)
    """Redirects followed in one fetch; each hop is checked like the first address."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Feeds fetched at once."""
    per_host: int = Field(default=2, ge=1)
    """Feeds fetched at once from one host."""
    user_agent: str = "riskwire/0.1 (news monitor)"
    """What publishers see; put a contact address into it."""
    contact: str | None = None
    """Contact address; the SEC requires one before EDGAR may be polled."""
    allow_private_hosts: tuple[str, ...] = ()
    """Hosts that may be polled although they resolve to loopback or private addresses."""
    backoff_max_s: int = Field(default=3_600, ge=1)
    """Longest wait between polls of a feed that keeps failing."""
    backfill_after_s: int = Field(default=21_600, ge=60)
    """An item published this long before it was first seen is backfill: learned from, never a reason to fire."""
    tick_s: float = Field(default=5.0, gt=0)
    """How often the clock is told to the stages."""
    remember: int = Field(default=200_000, ge=1_000)
    """Items remembered, so as to publish each once; the oldest are forgotten first."""
    min_language_confidence: float = Field(default=0.5, ge=0, le=1)
    """Below this the language of an article is unknown."""
    read_timeout_s: float = Field(default=30.0, gt=0, le=600)
    """Deadline for parsing and cleaning one document."""
    read_memory_mb: int = Field(default=1_024, ge=512)
    """Most memory of the process that parses documents."""
    max_line: int = Field(default=1_000_000, ge=1_000)
    """Longest line of an archive in bytes; a longer one goes to the dead letters."""


class InferenceSettings(Section):
    """How articles are read."""

    bundle: Path | None = None
    """Folder of the model bundle; the bundle that ships with riskwire when not set."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the model runs; `cuda` where there is none is an error, never a silent fall-back."""
    precision: Literal["auto", "int8", "fp16"] = "auto"
    """Precision file of the bundle; `auto` takes int8 on cpu and fp16 on cuda."""
    threads: int = Field(default=0, ge=0, le=256)
    """Threads of the model on cpu; 0 takes every core."""
    token_budget: int = Field(default=4_096, ge=128)
    """Most tokens (padding included) of one run of the model."""
    max_sentences: int = Field(default=64, ge=1)
    """Most sentences read of one article; the rest is counted as skipped."""
    queue: int = Field(default=1_024, ge=1)
    """Most articles waiting inside the engine."""
    cache: int = Field(default=20_000, ge=0)
    """Sentences whose results are kept: identical ones are computed once."""
    remember: int = Field(default=100_000, ge=1_000)
    """Article versions remembered per partition, to drop repeats."""
    watchlists: int = Field(default=8, ge=1, le=1_000)
    """Watchlists made ready to be looked up at once: partitions may stand at different ones while one is changed. One
    of 20,000 entries takes about 8 MB, and up to 30 MB more as it remembers what names mean."""
    topic_threshold: float = Field(default=0.5, ge=0, le=1)
    """A topic is reported from this probability on."""


class Budget(Section):
    """Notifications (fires and escalations) per target and month that may be false."""

    notice: float = Field(default=0.02, gt=0, le=10)
    """Budget of the notice tier."""
    page: float = Field(default=0.01, gt=0, le=10)
    """Budget of the page tier."""


class AlertingSettings(Section):
    """When an alert fires."""

    bucket_s: int = Field(default=15, ge=1, le=300)
    """Length of a bucket: the step in which alerts are decided."""
    lateness_s: int = Field(default=5, ge=0, le=3_600)
    """How long a bucket waits for late signals after the marks have passed its end."""
    windows_s: tuple[Annotated[int, Field(ge=60)], ...] = Field(default=(21_600, 86_400), min_length=1, max_length=8)
    """Windows over which negative stories are judged."""
    budget: Budget = Budget()
    """False-alarm budget; thresholds are computed from it."""
    min_stories: int = Field(default=3, ge=1)
    """Fewest negative stories that can fire."""
    half_life_days: float = Field(default=30.0, gt=0)
    """Half-life of a target's baseline."""
    calm_s: int = Field(default=259_200, ge=60)
    """An episode re-arms after this long without a surprise."""
    blind_after_s: int = Field(default=86_400, ge=60)
    """A target whose sources say nothing for this long is blind, not calm."""
    negative_from: float = Field(default=0.5, gt=0, lt=1)
    """A story is negative for a target from this probability on."""
    max_targets: int = Field(default=50_000, ge=1)
    """Most targets followed per partition; the ones silent longest are dropped first."""
    max_stories: int = Field(default=50_000, ge=10)
    """Most stories remembered of one target; beyond it the oldest are learned and forgotten early."""
    max_evidence: int = Field(default=10, ge=1, le=100)
    """Most stories an alert carries."""


class NotifySettings(Section):
    """How alerts reach people."""

    log: bool = True
    """Write every notification to the log."""
    webhooks: tuple[SecretStr, ...] = ()
    """URLs (http or https) that get every alert record as JSON, signed when `webhook_secret` is set."""
    webhook_secret: SecretStr | None = None
    """Key of the HMAC-SHA256 signature of webhooks."""
    webhook_secret_file: Path | None = None
    """File that holds `webhook_secret`."""
    apprise: tuple[SecretStr, ...] = ()
    """Apprise URLs (mail, Slack, Teams, SMS, …)."""
    min_severity: Literal["warning", "high", "critical"] = "warning"
    """Least severity that is notified."""
    attempts: int = Field(default=12, ge=1, le=100)
    """Tries of one delivery, with growing waits, before it becomes a dead letter."""
    timeout_s: float = Field(default=10.0, gt=0, le=300)
    """Deadline of one try."""
    backoff_s: float = Field(default=2.0, gt=0, le=3_600)
    """Wait before the second try; it doubles from try to try, with jitter."""
    backoff_max_s: float = Field(default=300.0, gt=0, le=3_600)
    """Longest wait between two tries, a receiver's own `Retry-After` included."""
    give_up_after_s: float = Field(default=3_600.0, gt=0, le=604_800)
    """No new try of a delivery this long after its record was read; it then becomes a dead letter."""
    max_age_s: float = Field(default=86_400.0, gt=0)
    """An alert whose `at` is further than this from the wall clock (a replay, the demo) is logged, never sent."""
    max_pending: int = Field(default=1_000, ge=1, le=100_000)
    """Most deliveries waiting for one receiver; a further one becomes a dead letter so that the others go on."""
    concurrency: int = Field(default=4, ge=1, le=64)
    """Most tries at once toward one receiver."""
    remember: int = Field(default=10_000, ge=100)
    """Open episodes remembered per partition, so that `resolved` follows what was notified; oldest go first."""


class StoreSettings(Section):
    """What the page and the API read."""

    url: str | None = None
    """SQLAlchemy URL; SQLite in the data directory when not set."""
    keep_days: int = Field(default=400, ge=1)
    """Days of trends, stories and alerts kept, counted back from the newest data."""
    keep_mentions: int = Field(default=40, ge=1)
    """Most names kept of whom one article mentions, for targets that are only watched later; the weightiest stay."""
    history: int = Field(default=500, ge=0, le=2_000)
    """Most past stories that a new target is told of."""
    keep_dead_letters: int = Field(default=10_000, ge=10_000)
    """Most dead letters whose record is kept to be shown; all are counted."""


class WebSettings(Section):
    """The page and the API."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs a token."""
    port: int = Field(default=8080, ge=0, le=65_535)
    """Port to listen on; 0 takes a free one."""
    token: SecretStr | None = None
    """Bearer token that every request must carry when set."""
    token_file: Path | None = None
    """File that holds `token`."""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """Host headers that are answered."""
    max_body: int = Field(default=1_000_000, ge=1_000)
    """Largest request body in bytes."""
    max_streams: int = Field(default=64, ge=1)
    """Most live streams (SSE) open at once."""
    max_texts: int = Field(default=256, ge=1)
    """Most texts in one request to `/api/v1/analyse`."""
    timeout_s: float = Field(default=60.0, gt=0, le=600)
    """Deadline of one request to the model or to the bus."""


class LogSettings(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""
    format: Literal["auto", "console", "json"] = "auto"
    """`auto` is console on a terminal, JSON elsewhere."""


class Settings(BaseSettings):
    """The whole tree; `load_settings` reads it."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    data: Path = Path("riskwire-data")
    """Directory of the embedded bus, the store and the state."""
    feeds: Path | None = None
    """Feed list (YAML); the list that ships with riskwire when not set."""
    watchlist: Path | None = None
    """Watchlist (YAML or CSV); without one riskwire follows the entities it finds."""
    bus: BusSettings = BusSettings()
    """Where records travel."""
    kafka: KafkaSettings = KafkaSettings()
    """How Kafka is reached."""
    ingest: IngestSettings = IngestSettings()
    """How feeds are polled."""
    inference: InferenceSettings = InferenceSettings()
    """How articles are read."""
    alerting: AlertingSettings = AlertingSettings()
    """When an alert fires."""
    notify: NotifySettings = NotifySettings()
    """How alerts reach people."""
    store: StoreSettings = StoreSettings()
    """What the page and the API read."""
    web: WebSettings = WebSettings()
    """The page and the API."""
    log: LogSettings = LogSettings()
    """What is written to standard error."""


def described(settings: BaseModel, prefix: str = "") -> list[tuple[str, str, str]]:
    """Every setting as (key, value, what it is for), secrets masked."""
    rows: list[tuple[str, str, str]] = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            rows.extend(described(value, f"{prefix}{name}."))
        else:
            shown = without_userinfo(json.dumps(settings.model_dump(mode="json", include={name})[name]))
            rows.append((prefix + name, shown, field.description or ""))
    return rows
