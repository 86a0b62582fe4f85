"""Logs of libraries have the form of our own and contain no secret."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from aiokafka.errors import KafkaError

from riskwire.logs import configure_logging
from riskwire.settings import LogSettings


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Restores the configuration of logging after each test."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    config = structlog.get_config()
    yield
    root.handlers[:], _ = handlers, root.setLevel(level)
    structlog.configure(**config)


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_library_logs_the_same_json_objects_as_riskwire(capsys: pytest.CaptureFixture[str]) -> None:
    """One line comes from a library through the standard logging, the other from riskwire through structlog."""
    configure_logging(LogSettings(format="json"))
    logging.getLogger("aiokafka.conn").warning("broker %s is\naway", "b-1")
    structlog.get_logger("riskwire.bus").warning("step failed", topic="articles")
    of_library, of_riskwire = logged(capsys)
    assert (of_library["event"], of_library["level"], of_library["logger"]) == (
        "broker b-1 is\naway",
        "warning",
        "aiokafka.conn",
    )
    assert set(of_library) - {"logger"} == set(of_riskwire) - {"topic"}


def test_a_traceback_of_a_library_is_part_of_its_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json"))
    try:
        raise KeyError("generation")
    except KeyError:
        logging.getLogger("aiokafka").exception("heartbeat failed")
    (line,) = logged(capsys)
    assert line["event"] == "heartbeat failed"
    assert "Traceback" in line["exception"]
    assert "KeyError: 'generation'" in line["exception"]


@pytest.mark.parametrize(
    "error",
    [ConnectionError("reset"), TimeoutError(), KafkaError("no 100%")],
    ids=["connection error", "timeout", "Kafka error"],
)
def test_aiokafka_logs_an_unreachable_broker_without_a_traceback(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """aiokafka logs such errors again and again; the same error of another library keeps its traceback."""
    configure_logging(LogSettings(format="json"))
    for name in ("aiokafka.producer.sender", "another.library"):
        try:
            raise error
        except type(error):
            logging.getLogger(name).exception("Unexpected error in %s routine", "sender")
    of_aiokafka, of_another_library = logged(capsys)
    assert of_aiokafka["event"] == f"Unexpected error in sender routine: {error!r}"
    assert "exception" not in of_aiokafka
    assert "Traceback" in of_another_library["exception"]


@pytest.mark.parametrize("level", ["debug", "info", "warning"])
def test_libraries_log_from_warning_on_whatever_the_level(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json", level=level))
    logging.getLogger("aiokafka.conn").debug("Request 1: SaslAuthenticate(sasl_auth_bytes=b'secret')")
    logging.getLogger("aiokafka.conn").info("connected")
    assert logged(capsys) == []


def test_level_error_applies_to_libraries_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json", level="error"))
    logging.getLogger("aiokafka").warning("not so bad")
    assert logged(capsys) == []


def test_a_password_in_a_url_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json"))
    logging.getLogger("apprise").warning("no answer of %s", "mailto://anna:s3cret@mail.example/x")
    (line,) = logged(capsys)
    assert line["event"] == "no answer of mailto://***@mail.example/x"


async def test_an_unretrieved_exception_of_aiokafka_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """asyncio reports an exception that was never retrieved when its future is collected."""
    errors = pytest.importorskip("aiokafka.errors")
    configure_logging(LogSettings(format="json"))
    loop = asyncio.get_running_loop()
    for error in (errors.ProducerFenced(), ConnectionError("lost")):
        loop.create_future().set_exception(error)
        gc.collect()
    (line,) = logged(capsys)
    assert "ConnectionError" in line["event"], "only the exception of aiokafka is omitted"
    assert "exception" not in line, "a lost connection needs no traceback"


def test_the_console_format_is_text_for_libraries_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="console"))
    logging.getLogger("aiokafka").error("away")
    structlog.get_logger("x").error("gone")
    of_library, of_riskwire = capsys.readouterr().err.splitlines()
    assert "away" in of_library
    assert "gone" in of_riskwire


@pytest.mark.parametrize("value", ["", "1"])
def test_no_color_makes_the_console_format_plain(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """As https://no-color.org asks: any value that is not empty."""
    monkeypatch.setenv("NO_COLOR", value)
    configure_logging(LogSettings(format="console"))
    structlog.get_logger("x").error("gone")
    assert ("\x1b[" in capsys.readouterr().err) is (value == "")


def test_a_secret_in_the_address_of_a_feed_is_in_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json"))
    structlog.get_logger("riskwire.ingest").warning("feed is gone", url="https://a.example/f?apikey=S3CRET")
    logging.getLogger("aiohttp").warning("GET %s failed", "https://a.example/f?token=S3CRET")
    assert [line.get("url", line["event"]) for line in logged(capsys)] == [
        "https://a.example/f?apikey=***",
        "GET https://a.example/f?token=*** failed",
    ]
