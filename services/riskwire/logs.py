"""Structured logging to standard error, including the logs of libraries such as aiokafka and Apprise."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Hashable

import structlog

from riskwire.errors import without_secrets
from riskwire.settings import LogSettings


def configure_logging(settings: LogSettings) -> None:
    """Configures logging once, at start: text on a terminal, else one JSON object a line.

    Libraries log from `warning` on, through filters that drop or shorten noise; secrets in URLs are masked in all logs.
    They log nothing below that, even if `log.level` is lower: at `debug`, aiokafka logs the requests that it sends,
    including the password of a login.
    """
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=not os.environ.get("NO_COLOR"))
        if console
        else structlog.processors.JSONRenderer()
    )
    min_level = getattr(logging, settings.level.upper())
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_secrets,
    ]
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(min_level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_not_reported_already)
    handler.addFilter(_shorten_connection_error)
    handler.addFilter(RepeatFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*processors, structlog.stdlib.add_logger_name, _mask_secrets],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=max(min_level, logging.WARNING), handlers=[handler], force=True)


class Repeats:
    """Lets the same message through only once in `every_s` seconds, and counts the suppressed ones."""

    def __init__(self, every_s: float = 30.0, max_messages: int = 256) -> None:
        """Starts with no message known: the first of each passes.

        Args:
            every_s: seconds in which a message passes only once.
            max_messages: most messages remembered; the oldest are forgotten first.
        """
        self._every_s = every_s
        self._max_messages = max_messages
        self._messages: dict[Hashable, tuple[float, int]] = {}
        """By message: when it last passed, and how many were suppressed since."""

    def suppressed(self, message: Hashable, now: float) -> int | None:
        """Returns how often a message was suppressed before it passes now, or None if it is suppressed now.

        The interval starts with the message that passed last.
        """
        passed_at, suppressed = self._messages.get(message, (float("-inf"), 0))
        if now - passed_at < self._every_s:
            self._messages[message] = (passed_at, suppressed + 1)
            return None
        self._messages.pop(message, None)
        while len(self._messages) >= self._max_messages:
            del self._messages[next(iter(self._messages))]
        self._messages[message] = (now, 0)
        return suppressed


class RepeatFilter(logging.Filter):
    """Passes the same message of a logger only once in `every_s` seconds, and counts the suppressed ones.

    A Kafka client without a reachable broker logs dozens of messages a second.
    """

    def __init__(self, every_s: float = 30.0, max_messages: int = 256) -> None:
        """Takes the arguments of `Repeats`."""
        super().__init__()
        self._repeats = Repeats(every_s, max_messages)

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether the record is logged: False for one that repeats within `every_s`.

        Records are the same if the logger and the first 200 characters of the message agree, before its arguments are
        filled in. Appends the number of suppressed repetitions to the message of a record that passes.
        """
        suppressed = self._repeats.suppressed((record.name, str(record.msg)[:200]), record.created)
        if suppressed:
            record.msg, record.args = f"{record.getMessage()} (and {suppressed} similar messages before)", ()
        return suppressed is not None


def _is_not_reported_already(record: logging.LogRecord) -> bool:
    """Returns False for an unretrieved exception of aiokafka, which asyncio reports a second time.

    When a producer is fenced, aiokafka raises the error to the caller. It also fails internal futures and tasks that no
    caller awaits, and asyncio logs each one.
    """
    if record.name != "asyncio":
        return True
    message, error = record.getMessage(), record.exc_info[1] if record.exc_info else None
    from_aiokafka = type(error).__module__.startswith("aiokafka.") or "/aiokafka/producer/" in message
    return not (from_aiokafka and "exception was never retrieved" in message)


def _shorten_connection_error(record: logging.LogRecord) -> bool:
    """Replaces the traceback of an unreachable broker by one line; changes the record and returns True.

    That traceback shows only internals of aiokafka, or of asyncio for a lost connection whose future is not awaited,
    and the caller gets an error too. Other errors keep theirs.
    """
    error = record.exc_info[1] if record.exc_info else None
    unreachable = isinstance(error, OSError | TimeoutError) or type(error).__module__.startswith("aiokafka.")
    message = record.getMessage()
    if unreachable and record.name.split(".")[0] == "aiokafka":
        record.msg, record.args, record.exc_info = f"{message}: {error!r}", (), None
    elif isinstance(error, ConnectionError) and message.startswith("Future exception was never retrieved"):
        record.msg, record.args, record.exc_info = f"a connection was lost: {error!r}", (), None
    return True


def _mask_secrets(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {key: without_secrets(value) if isinstance(value, str) else value for key, value in event.items()}
