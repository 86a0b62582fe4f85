"""A Kafka cluster as the settings name it: where it is, how it is reached, what things are called there."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context

from riskwire.bus.protocol import Outgoing, partition_of
from riskwire.errors import BusError, SchemaError, SettingsError, TooLargeError
from riskwire.settings import KafkaSettings

SCHEME = "kafka://"
PUBLISHERS = "publishers"
"""Whose state the publishers' changelog is; no group may be called so."""

_OVERHEAD = 1_000
"""Room for what Kafka puts around the key and value of a record."""


@dataclass(frozen=True, slots=True)
class Record:
    """What one send of a transaction carries: names as Kafka knows them, bytes, and a partition chosen by us."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True)
class Cluster:
    """Where the cluster is and how to talk to it."""

    url: str
    settings: KafkaSettings
    partitions: dict[str, int] = field(default_factory=dict)
    """How many partitions each topic has, by riskwire's name for it; filled when the bus is opened."""

    def name(self, what: str) -> str:
        """A topic, group or transactional id as Kafka knows it."""
        return self.settings.prefix + what

    def state_of(self, group: str) -> str:
        """The changelog of a group, as Kafka knows it."""
        return self.name(f"{group}-state")

    def count(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises:
            BusError: there is no such topic.
        """
        try:
            return self.partitions[topic]
        except KeyError:
            raise BusError(f"there is no topic {topic}", where=self.url, do=CREATE) from None

    def client(self) -> dict[str, Any]:
        """What every client of aiokafka is made with.

        Raises:
            SettingsError: a URL, file or combination of settings that cannot be used.
        """
        settings = self.settings
        options: dict[str, Any] = {
            "bootstrap_servers": servers_of(self.url),
            "client_id": "riskwire",
            "request_timeout_ms": int(min(settings.deadline_s, 40) * 1000),
            "security_protocol": settings.security.upper(),
        }
        if settings.security in ("ssl", "sasl_ssl"):
            options["ssl_context"] = _ssl_context(settings)
        if settings.security in ("sasl_plaintext", "sasl_ssl"):
            if not settings.username or settings.password is None:
                raise SettingsError(
                    f"kafka.security is {settings.security}, which needs a user",
                    do="Set kafka.username and kafka.password_file (or RISKWIRE_KAFKA__PASSWORD)",
                )
            options |= {
                "sasl_mechanism": settings.mechanism,
                "sasl_plain_username": settings.username,
                "sasl_plain_password": settings.password.get_secret_value(),
            }
        return options

    def record(self, outgoing: Outgoing) -> Record:
        """A result as it will be sent.

        Raises:
            SchemaError: no such topic, partition or key, or too large.
        """
        topic = str(outgoing.topic)
        count = self.partitions.get(topic)
        if count is None:
            raise SchemaError("there is no such topic", value=topic)
        key = None if outgoing.key is None else encoded(outgoing.key)
        partition = outgoing.partition
        if partition is None:
            if outgoing.key is None:
                raise SchemaError(f"a record for {topic} has neither a key nor a partition")
            partition = partition_of(outgoing.key, count)
        elif not 0 <= partition < count:
            raise SchemaError(f"{topic} has partitions 0 to {count - 1}", value=partition)
        return self._bounded(Record(self.name(topic), partition, key, outgoing.value))

    def state_record(self, group: str, partition: int, prefix: str, key: str, value: bytes | None) -> Record:
        """A change of state as it will be sent.

        Raises:
            SchemaError: a key that is no text, or too large.
        """
        return self._bounded(Record(self.state_of(group), partition, encoded(prefix + key), value))

    @property
    def _most_bytes(self) -> int:
        return self.settings.max_record_bytes - _OVERHEAD

    def _bounded(self, record: Record) -> Record:
        size = len(record.key or b"") + len(record.value or b"")
        if size > self._most_bytes:
            raise TooLargeError(
                f"a record of {size} bytes is larger than kafka.max_record_bytes ({self.settings.max_record_bytes})",
                where=record.topic,
                max_bytes=self._most_bytes,
            )
        return record


CREATE = "`riskwire topics create` makes what is missing"


def encoded(key: str) -> bytes:
    """A key as bytes.

    Raises:
        SchemaError: it is not valid Unicode.
    """
    try:
        return key.encode()
    except UnicodeEncodeError as error:
        raise SchemaError("a key is not valid Unicode", value=key) from error


def servers_of(url: str) -> list[str]:
    """The brokers that a `kafka://host:port[,host:port]` names.

    Raises:
        SettingsError: it is not such a URL.
    """
    servers = [server.strip() for server in url.removeprefix(SCHEME).rstrip("/").split(",")]
    for server in servers:
        host, _, port = server.rpartition(":")
        if not url.startswith(SCHEME) or not host or "/" in host or "@" in host or not _is_port(port):
            raise SettingsError(
                "bus.url: allowed are `embedded` and `kafka://host:port[,host:port]`",
                value=url if "@" not in url else "***",
                do="A user and a password belong into kafka.username and kafka.password_file" if "@" in url else "",
            )
    return servers


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= 65_535


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    for key in ("ca_file", "cert_file", "key_file"):
        path = getattr(settings, key)
        if path is not None and not path.is_file():
            raise SettingsError(f"kafka.{key}: there is no such file", value=str(path))
    try:
        context: ssl.SSLContext = create_ssl_context(
            cafile=settings.ca_file and str(settings.ca_file),
            certfile=settings.cert_file and str(settings.cert_file),
            keyfile=settings.key_file and str(settings.key_file),
            password="",  # a key behind a passphrase is an error, not a question on the terminal
        )
    except (OSError, ssl.SSLError, ValueError) as error:
        raise SettingsError("kafka.ca_file, kafka.cert_file, kafka.key_file: they cannot be used") from error
    return context


@contextmanager
def as_bus_error(what: str, where: str) -> Iterator[None]:
    """Turn what Kafka, the network and a deadline say into a `BusError`."""
    try:
        yield
    except TimeoutError as error:
        raise BusError(f"{what}: no answer within the deadline", where=where) from error
    except (KafkaError, OSError) as error:
        raise BusError(what, where=where) from error


@contextmanager
def connecting(where: str) -> Iterator[None]:
    """Turn a first contact that fails into a `BusError` that says why: aiokafka tells the reason to its log only."""
    overheard = _Overheard(logging.ERROR)
    logger = logging.getLogger("aiokafka")
    logger.addHandler(overheard)
    try:
        with as_bus_error("Kafka cannot be reached", where):
            yield
    except BusError as error:
        reason = overheard.last
        if "SaslAuthenticationFailed" in reason or "UnsupportedSaslMechanism" in reason:
            raise BusError(
                "the broker refuses the user", value=reason, where=where, do=f"Check {', '.join(_WHO)}"
            ) from error.__cause__
        error.value = reason or None
        error.do = "Check that the brokers run, bus.url, and the settings under `kafka` (security, ca_file, cert_file)"
        raise
    finally:
        logger.removeHandler(overheard)


_WHO = ("kafka.username", "kafka.password", "kafka.mechanism")


class _Overheard(logging.Handler):
    """The last thing said to a log."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()
