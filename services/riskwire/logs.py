"""Logging: structured, on standard error; what libraries log (aiokafka, Apprise, …) goes the same way."""

from __future__ import annotations

import logging
import sys

import structlog

from riskwire.errors import without_userinfo
from riskwire.settings import LogSettings


def configure_logging(settings: LogSettings) -> None:
    """Set logging up, once, at start: console on a terminal, one JSON object a line elsewhere.

    Libraries are heard from `warning` on, whatever `log.level` says: below it aiokafka logs requests as they are sent,
    the password of a login included.
    """
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    least = getattr(logging, settings.level.upper())
    chain: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_news)
    handler.addFilter(_in_short)
    handler.addFilter(Repeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*chain, structlog.stdlib.add_logger_name, _without_userinfo],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=max(least, logging.WARNING), handlers=[handler], force=True)


class Repeats(logging.Filter):
    """Lets the same complaint through once in `every_s` and counts the others: clients of a broker that is away make
    dozens a second."""

    def __init__(self, every_s: float = 30.0, remember: int = 256) -> None:
        super().__init__()
        self._every_s = every_s
        self._remember = remember
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this one is told; one that is says how many were not since the last."""
        key = (record.name, str(record.msg)[:200])
        at, untold = self._told.get(key, (float("-inf"), 0))
        if record.created - at < self._every_s:
            self._told[key] = (at, untold + 1)
            return False
        self._told.pop(key, None)
        while len(self._told) >= self._remember:
            del self._told[next(iter(self._told))]
        self._told[key] = (record.created, 0)
        if untold:
            record.msg, record.args = f"{record.getMessage()} (and {untold} more like it before)", ()
        return True


def _is_news(record: logging.LogRecord) -> bool:
    """False for a failure that was raised already: of a fenced producer aiokafka also fails futures that nobody holds,
    and tasks that nobody awaits, and asyncio tells of each."""
    if record.name != "asyncio":
        return True
    said, error = record.getMessage(), record.exc_info[1] if record.exc_info else None
    known = type(error).__module__.startswith("aiokafka.") or "/aiokafka/producer/" in said
    return not (known and "exception was never retrieved" in said)


def _in_short(record: logging.LogRecord) -> bool:
    """What aiokafka tells of brokers that are away it tells in one line: the traceback is of its insides, and whoever
    asked is told too. Any other error keeps its traceback."""
    error = record.exc_info[1] if record.exc_info else None
    away = isinstance(error, OSError | TimeoutError) or type(error).__module__.startswith("aiokafka.")
    if away and record.name.split(".")[0] == "aiokafka":
        record.msg, record.args, record.exc_info = f"{record.getMessage()}: {error!r}", (), None
    return True


def _without_userinfo(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {key: without_userinfo(value) if isinstance(value, str) else value for key, value in event.items()}
