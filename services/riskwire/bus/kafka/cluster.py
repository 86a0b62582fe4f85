"""A Kafka cluster as the settings describe it: its address, the options of its clients, and the names used on it."""

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
"""The owner of the changelog that all publishers share. No group may have this name."""
CREATE = "`riskwire topics create` creates what is missing"
"""What an error message recommends if a topic is missing."""

_OVERHEAD = 1_000
"""Bytes reserved for what Kafka adds to the key and value of a record."""
_CREDENTIALS = ("kafka.username", "kafka.password", "kafka.mechanism")


@dataclass(frozen=True, slots=True)
class KafkaRecord:
    """A record of a transaction: a topic by its name on Kafka, a partition that we chose, key and value as bytes."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True)
class Cluster:
    """The address of a cluster, and how riskwire's names, keys and values become Kafka's.

    Attributes:
        partitions: how many partitions of each topic are in use, by riskwire's topic names. Filled when the bus is
            opened.
    """

    url: str
    settings: KafkaSettings
    partitions: dict[str, int] = field(default_factory=dict)

    def name(self, name: str) -> str:
        """Returns the name on Kafka of a topic, group or transactional id: with the configured prefix."""
        return self.settings.prefix + name

    def changelog(self, owner: str) -> str:
        """Returns the name on Kafka of the topic that keeps the state of a group, or of the publishers."""
        return self.name(f"{owner}-state")

    def partitions_of(self, topic: str) -> int:
        """Returns how many partitions of a topic are in use.

        Raises:
            BusError: the topic does not exist.
        """
        try:
            return self.partitions[topic]
        except KeyError:
            raise BusError(f"there is no topic {topic}", where=self.url, do=CREATE) from None

    def client_options(self) -> dict[str, Any]:
        """Returns the constructor arguments that every client of aiokafka gets.

        Raises:
            SettingsError: the URL, a file or a combination of settings is not valid.
        """
        settings = self.settings
        options: dict[str, Any] = {
            "bootstrap_servers": parse_servers(self.url),
            "client_id": "riskwire",
            "request_timeout_ms": int(min(settings.deadline_s, 40) * 1000),  # 40 s is aiokafka's default
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

    def to_record(self, outgoing: Outgoing) -> KafkaRecord:
        """Returns a result as the record to send. Without a partition, the hash of the key decides.

        Raises:
            SchemaError: the topic, partition or key is not valid, or the record is too large (`TooLargeError`).
        """
        topic = str(outgoing.topic)
        count = self.partitions.get(topic)
        if count is None:
            raise SchemaError("there is no such topic", value=topic)
        key = None if outgoing.key is None else encode_key(outgoing.key)
        partition = outgoing.partition
        if partition is None:
            if outgoing.key is None:
                raise SchemaError(f"a record for {topic} has neither a key nor a partition")
            partition = partition_of(outgoing.key, count)
        elif not 0 <= partition < count:
            raise SchemaError(f"{topic} has partitions 0 to {count - 1}", value=partition)
        return self._check_size(KafkaRecord(self.name(topic), partition, key, outgoing.value))

    def to_state_record(self, owner: str, partition: int, prefix: str, key: str, value: bytes | None) -> KafkaRecord:
        """Returns a change of state as the record to send to the changelog of `owner`.

        Args:
            owner: a group, or `PUBLISHERS`.
            prefix: stands before `key` in the record, and keeps states apart that share a partition.
            value: None deletes the key.

        Raises:
            SchemaError: the key is not valid Unicode, or the record is too large (`TooLargeError`).
        """
        return self._check_size(KafkaRecord(self.changelog(owner), partition, encode_key(prefix + key), value))

    @property
    def _max_bytes(self) -> int:
        return self.settings.max_record_bytes - _OVERHEAD

    def _check_size(self, record: KafkaRecord) -> KafkaRecord:
        """Returns the record if key and value together have at most `_max_bytes`.

        That is `kafka.max_record_bytes` less a reserve for what Kafka adds to a record.

        Raises:
            TooLargeError: the record is larger.
        """
        size = len(record.key or b"") + len(record.value or b"")
        if size > self._max_bytes:
            raise TooLargeError(
                f"a record of {size} bytes is larger than kafka.max_record_bytes ({self.settings.max_record_bytes})",
                where=record.topic,
                max_bytes=self._max_bytes,
            )
        return record


def encode_key(key: str) -> bytes:
    """Returns a key as UTF-8.

    Raises:
        SchemaError: the key is not valid Unicode.
    """
    try:
        return key.encode()
    except UnicodeEncodeError as error:
        raise SchemaError("a key is not valid Unicode", value=key) from error


def parse_servers(url: str) -> list[str]:
    """Returns the `host:port` of each broker in a `kafka://host:port[,host:port]`.

    Raises:
        SettingsError: the URL has another form. The message does not show a URL with `@`, which may hold a password.
    """
    servers = [server.strip() for server in url.removeprefix(SCHEME).rstrip("/").split(",")]
    for server in servers:
        host, _, port = server.rpartition(":")
        if not url.startswith(SCHEME) or not host or "/" in host or "@" in host or not _is_port(port):
            raise SettingsError(
                "bus.url: allowed are `embedded` and `kafka://host:port[,host:port]`",
                value=url if "@" not in url else "***",
                do="Set the user with kafka.username and the password with kafka.password_file" if "@" in url else "",
            )
    return servers


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= 65_535


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    """Returns the TLS context for connections to the brokers, from the certificate files of the settings.

    Raises:
        SettingsError: a file is missing or cannot be used.
    """
    for key in ("ca_file", "cert_file", "key_file"):
        path = getattr(settings, key)
        if path is not None and not path.is_file():
            raise SettingsError(f"kafka.{key}: there is no such file", value=str(path))
    try:
        context: ssl.SSLContext = create_ssl_context(
            cafile=settings.ca_file and str(settings.ca_file),
            certfile=settings.cert_file and str(settings.cert_file),
            keyfile=settings.key_file and str(settings.key_file),
            password="",  # without a password OpenSSL would ask for one on the terminal if the key is encrypted
        )
    except (OSError, ssl.SSLError, ValueError) as error:
        raise SettingsError("kafka.ca_file, kafka.cert_file, kafka.key_file: they cannot be used") from error
    return context


@contextmanager
def as_bus_error(message: str, where: str) -> Iterator[None]:
    """Converts errors of Kafka and the network, and timeouts, into a `BusError` with this message."""
    try:
        yield
    except TimeoutError as error:
        raise BusError(f"{message}: no answer within the deadline", where=where) from error
    except (KafkaError, OSError) as error:
        raise BusError(message, where=where) from error


@contextmanager
def first_connection(where: str) -> Iterator[None]:
    """Converts the errors of a first connection into a `BusError` that names the reason.

    aiokafka writes the reason only to its log, so this listens to the log.
    """
    last_message = _LastMessage(logging.ERROR)
    logger = logging.getLogger("aiokafka")
    logger.addHandler(last_message)
    try:
        with as_bus_error("Kafka cannot be reached", where):
            yield
    except BusError as error:
        reason = last_message.text
        if "SaslAuthenticationFailed" in reason or "UnsupportedSaslMechanism" in reason:
            raise BusError(
                "the broker refuses the user", value=reason, where=where, do=f"Check {', '.join(_CREDENTIALS)}"
            ) from error.__cause__
        error.value = reason or None
        error.do = "Check that the brokers run, bus.url, and the settings under `kafka` (security, ca_file, cert_file)"
        raise
    finally:
        logger.removeHandler(last_message)


class _LastMessage(logging.Handler):
    """Keeps the last message of a logger."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()
