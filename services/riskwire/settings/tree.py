"""The settings tree: every setting with its default, its bounds and its documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from riskwire.errors import without_secrets
from riskwire.settings.notify import NotifySettings
from riskwire.settings.section import Section
from riskwire.settings.time_zone import TimeZone
from riskwire.settings.web import WebSettings

ENV_PREFIX = "RISKWIRE_"


class BusSettings(Section):
    """The message bus between the stages."""

    url: str = "embedded"
    """The bus: `embedded` (SQLite in the data directory) or `kafka://host:port[,host:port]`."""
    partitions: int = Field(default=2, ge=1, le=256)
    """Partitions per topic of a new embedded bus. The results do not depend on it."""
    backlog: int = Field(default=5_000, ge=1)
    """Most unread records of a topic, for the slowest stage that reads it. When there are more, publishers wait."""
    keep_processed: int = Field(default=20_000, ge=0)
    """Records kept per partition after every stage has read them (embedded bus only). Older ones are deleted."""
    batch: int = Field(default=256, ge=1, le=10_000)
    """Most records that a stage processes in one atomic step."""


class KafkaSettings(Section):
    """Connection to Kafka and layout of its topics; used if `bus.url` is `kafka://…`."""

    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$", max_length=100)
    """Prefix of every topic, group and transactional id, so that several monitors can share a cluster."""
    partitions: int = Field(default=8, ge=1, le=256)
    """Partitions of the topics that `riskwire topics create` creates. The results do not depend on it."""
    replication: int | None = Field(default=None, ge=1, le=32)
    """Replication factor of each topic. Default: 3, or the number of brokers if that is smaller."""
    deadline_s: float = Field(default=60.0, ge=1, le=600)
    """Deadline in seconds of one request or one atomic step. A slower step is aborted and its stage stops."""
    session_timeout_s: float = Field(default=15.0, ge=1, le=300)
    """A worker without a heartbeat for this many seconds loses its partitions to other workers of its group."""
    stuck_after_s: float = Field(default=300.0, ge=5, le=86_400)
    """A service exits with a non-zero code after this many seconds without a broker or without progress of a stage."""
    max_record_bytes: int = Field(default=4_000_000, ge=100_000, le=100_000_000)
    """Largest record in bytes. A larger one becomes a dead letter."""
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """Security protocol of the connection to the brokers."""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """SASL mechanism; used if `security` is sasl_plaintext or sasl_ssl."""
    username: str | None = None
    """SASL user."""
    password: SecretStr | None = None
    """SASL password."""
    password_file: Path | None = None
    """File with the `password`."""
    ca_file: Path | None = None
    """Certificate authority (PEM) of the brokers. Default: those of the operating system."""
    cert_file: Path | None = None
    """Client certificate (PEM), if the brokers require one."""
    key_file: Path | None = None
    """Private key (PEM, without a passphrase) of `cert_file`."""


class IngestSettings(Section):
    """Polling of feeds, and parsing of what they publish."""

    timeout_s: float = Field(default=20.0, gt=0, le=300)
    """Deadline in seconds of one fetch, including redirects."""
    max_bytes: int = Field(default=10_000_000, ge=1_000)
    """Largest feed document in bytes after decompression. A larger one is discarded."""
    max_entries: int = Field(default=2_000, ge=1)
    """Most entries read from one document."""
    max_text: int = Field(default=20_000, ge=100)
    """Most characters of an article's text that are kept."""
    max_redirects: int = Field(default=5, ge=0, le=20)
    """Most redirects followed in one fetch. Each address is checked like the first."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Most concurrent fetches."""
    per_host: int = Field(default=2, ge=1)
    """Most concurrent fetches from one host."""
    user_agent: str = "riskwire/0.1 (news monitor)"
    """User agent that publishers see. Add a contact address."""
    contact: str | None = None
    """Contact address for publishers. The SEC requires one for polling EDGAR."""
    allow_private_hosts: tuple[str, ...] = ()
    """Hosts that may be polled even if they resolve to loopback or private addresses."""
    backoff_max_s: int = Field(default=3_600, ge=1)
    """Longest wait in seconds between polls of a failing feed."""
    backfill_after_s: int = Field(default=21_600, ge=60)
    """An item first seen more than this many seconds after publication is backfill: it trains the baseline and never
    fires an alert."""
    tick_s: float = Field(default=5.0, gt=0)
    """Interval in seconds at which ingest publishes its clock to the stages."""
    remember: int = Field(default=200_000, ge=1_000)
    """Items remembered to publish each only once. The oldest are forgotten first."""
    min_language_confidence: float = Field(default=0.5, ge=0, le=1)
    """Least confidence of language detection (0 to 1). Below it, the language of an article is unknown."""
    read_timeout_s: float = Field(default=30.0, gt=0, le=600)
    """Deadline in seconds for parsing and cleaning one document."""
    read_memory_mb: int = Field(default=1_024, ge=512)
    """Most memory in MiB of the process that parses documents."""
    max_line: int = Field(default=1_000_000, ge=1_000)
    """Longest line of an archive in bytes. A longer one becomes a dead letter."""


class InferenceSettings(Section):
    """The model that reads articles."""

    bundle: Path | None = None
    """Folder of the model bundle, or the name of one that ships: `finance-en` (the default) or `finance-en-small`."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device of the model. `cuda` without a usable GPU is an error; there is no fallback to cpu."""
    precision: Literal["auto", "int8", "fp16"] = "auto"
    """Precision of the model. `auto` means int8 on cpu and fp16 on cuda."""
    threads: int = Field(default=0, ge=0, le=256)
    """Threads of the model on cpu. 0 uses every core."""
    token_budget: int = Field(default=4_096, ge=128)
    """Most tokens, including padding, of one run of the model."""
    max_sentences: int = Field(default=64, ge=1)
    """Most sentences of an article that the model reads. The others are counted as skipped."""
    queue: int = Field(default=1_024, ge=1)
    """Most articles that wait for the model."""
    cache: int = Field(default=20_000, ge=0)
    """Sentences whose results are cached, so that an identical sentence is computed once."""
    remember: int = Field(default=100_000, ge=1_000)
    """Article versions remembered per partition to drop repeats."""
    watchlists: int = Field(default=8, ge=1, le=1_000)
    """Most prepared watchlists in memory. While the watchlist changes, partitions can be at different versions of it. A
    watchlist of 20,000 entries takes about 8 MB, and up to 30 MB more for its cache of resolved names."""
    topic_threshold: float = Field(default=0.5, ge=0, le=1)
    """Least probability of a topic that is reported."""


class Budget(Section):
    """Notifications of spikes and slides (fires and escalations) per target and month. Event alerts have no budget.

    The defaults are small: an event alert tells most of what a spike would tell, and earlier.
    """

    notice: float = Field(default=0.005, gt=0, le=10)
    """Budget of spikes of tier notice. It is the geometric mean of their number without and with pages."""
    page: float = Field(default=0.0025, gt=0, le=10)
    """Budget of spikes of tier page."""
    slide: float = Field(default=0.00125, gt=0, le=10)
    """Budget of slides."""


class AlertingSettings(Section):
    """When an alert fires, escalates and resolves."""

    bucket_s: int = Field(default=15, ge=1, le=300)
    """Length of a bucket in seconds. Alerts are decided at the end of each bucket."""
    lateness_s: int = Field(default=5, ge=0, le=3_600)
    """Seconds that a bucket stays open for late signals after the marks have passed its end."""
    windows_s: tuple[Annotated[int, Field(ge=60)], ...] = Field(default=(21_600, 86_400), min_length=1, max_length=8)
    """Lengths in seconds of the windows in which negative stories are counted."""
    budget: Budget = Budget()
    """Budget of spikes and slides, from which their thresholds follow."""
    calibration: Path | None = None
    """File of `riskwire calibrate`, by which the thresholds meet the budget for one bundle. Default: the calibration
    that ships, for the bundle that ships; other bundles get thresholds from theory."""
    min_stories: int = Field(default=3, ge=1)
    """Least number of negative stories that can fire an alert."""
    half_life_days: float = Field(default=30.0, gt=0)
    """Half-life in days of a target's baseline."""
    calm_s: int = Field(default=259_200, ge=60)
    """An episode resolves, and the target re-arms, after this many seconds without a surprise."""
    blind_after_s: int = Field(default=86_400, ge=60)
    """A target whose sources have all been silent for this many seconds is blind, not calm."""
    negative_from: float = Field(default=0.5, gt=0, lt=1)
    """Least probability of negative sentiment that makes a story negative for a target."""
    max_targets: int = Field(default=50_000, ge=1)
    """Most targets followed per partition. The longest silent are dropped first."""
    max_stories: int = Field(default=50_000, ge=10)
    """Most stories in the window of a target. When there are more, the oldest enter the baseline early."""
    max_evidence: int = Field(default=10, ge=1, le=100)
    """Most stories in the evidence of an alert."""
    rules: Path | None = None
    """File of rules of event alerts (YAML). It overrides single values of those that ship: per family, event type,
    group or target, the tier, thresholds, re-arm time and least number of publishers."""
    max_near_misses: int = Field(default=10, ge=1, le=1_000)
    """Most near misses recorded per target and bucket. The most adverse are kept."""


class StoreSettings(Section):
    """The database behind the page and the API."""

    url: str | None = None
    """SQLAlchemy URL of an SQLite or PostgreSQL database. Default: SQLite in the data directory."""
    password: SecretStr | None = None
    """Password of the role in `url`, if the URL has none."""
    password_file: Path | None = None
    """File with the `password`."""
    keep_days: int = Field(default=400, ge=1)
    """Days of trends, stories and alerts that are kept, counted back from the newest data, in whole months (UTC)."""
    wait_s: float = Field(default=900.0, ge=0, le=86_400)
    """Seconds that a writer waits for a database that is away, in use or full, before its process ends."""
    keep_mentions: int = Field(default=40, ge=1)
    """Most mentioned names kept per article, by weight. They give targets that are watched later a history."""
    history: int = Field(default=500, ge=0, le=2_000)
    """Most past stories in the history of a newly watched target."""
    keep_dead_letters: int = Field(default=10_000, ge=10_000)
    """Most dead letters kept for display. All are counted."""


class LogSettings(Section):
    """The log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
    format: Literal["auto", "console", "json"] = "auto"
    """Format of a line. `auto` means console on a terminal and JSON elsewhere."""


class Settings(BaseSettings):
    """The complete settings tree. `load_settings` loads it."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    data: Path = Path("riskwire-data")
    """Directory of the embedded bus and the SQLite store."""
    feeds: Path | None = None
    """Feed list (YAML). Default: the list that ships with riskwire."""
    watchlist: Path | None = None
    """Watchlist (YAML or CSV). Without one, riskwire follows the entities it finds."""
    time_zone: TimeZone | None = None
    """Time zone of the times that commands and the page show, such as `Europe/Berlin`. Default: UTC in commands, and on
    the page that of the browser. Records, the API, logs and notifications are in UTC."""
    bus: BusSettings = BusSettings()
    """The message bus between the stages."""
    kafka: KafkaSettings = KafkaSettings()
    """Connection to Kafka."""
    ingest: IngestSettings = IngestSettings()
    """Polling of feeds."""
    inference: InferenceSettings = InferenceSettings()
    """The model that reads articles."""
    alerting: AlertingSettings = AlertingSettings()
    """When an alert fires."""
    notify: NotifySettings = NotifySettings()
    """Delivery of alerts to receivers."""
    store: StoreSettings = StoreSettings()
    """The database behind the page and the API."""
    web: WebSettings = WebSettings()
    """The page and the API."""
    log: LogSettings = LogSettings()
    """The log, on standard error."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the times that commands show."""
        return ZoneInfo(self.time_zone or "UTC")


def describe_settings(settings: BaseModel, prefix: str = "") -> list[tuple[str, str, str]]:
    """Returns every setting as (dotted key, value as JSON, description); secrets and passwords of URLs are masked.

    Args:
        settings: all settings, or a section.
        prefix: what each key begins with, such as `web.` for that section.
    """
    rows: list[tuple[str, str, str]] = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            rows.extend(describe_settings(value, f"{prefix}{name}."))
        else:
            shown = without_secrets(json.dumps(settings.model_dump(mode="json", include={name})[name]))
            rows.append((prefix + name, shown, field.description or ""))
    return rows
