"""What libraries log comes out as our own lines do, and tells no secret."""

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
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    kept = structlog.get_config()
    yield
    root.handlers[:], _ = handlers, root.setLevel(level)
    structlog.configure(**kept)


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_of_a_library_is_an_object_like_ours(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json"))
    logging.getLogger("aiokafka.conn").warning("broker %s is\naway", "b-1")
    structlog.get_logger("riskwire.bus").warning("step failed", topic="articles")
    theirs, ours = logged(capsys)
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("broker b-1 is\naway", "warning", "aiokafka.conn")
    assert set(theirs) - {"logger"} == set(ours) - {"topic"}


def test_an_exception_of_a_library_is_told_inside_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json"))
    try:
        raise KeyError("generation")
    except KeyError:
        logging.getLogger("aiokafka").exception("heartbeat failed")
    (line,) = logged(capsys)
    assert line["event"] == "heartbeat failed"
    assert "Traceback" in line["exception"]
    assert "KeyError: 'generation'" in line["exception"]


@pytest.mark.parametrize("error", [ConnectionError("reset"), TimeoutError(), KafkaError("no 100%")])
def test_brokers_that_are_away_are_no_reason_for_a_traceback(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(LogSettings(format="json"))
    for name in ("aiokafka.producer.sender", "another.library"):
        try:
            raise error
        except type(error):
            logging.getLogger(name).exception("Unexpected error in %s routine", "sender")
    theirs, others = logged(capsys)
    assert theirs["event"] == f"Unexpected error in sender routine: {error!r}"
    assert "exception" not in theirs
    assert "Traceback" in others["exception"]


@pytest.mark.parametrize("level", ["debug", "info", "warning"])
def test_libraries_are_heard_from_warning_on_however_much_we_say(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(LogSettings(format="json", level=level))
    logging.getLogger("aiokafka.conn").debug("Request 1: SaslAuthenticate(sasl_auth_bytes=b'secret')")
    logging.getLogger("aiokafka.conn").info("connected")
    assert logged(capsys) == []


def test_errors_only_means_theirs_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json", level="error"))
    logging.getLogger("aiokafka").warning("not so bad")
    assert logged(capsys) == []


def test_a_password_in_an_address_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json"))
    logging.getLogger("apprise").warning("no answer of %s", "mailto://anna:s3cret@mail.example/x")
    (line,) = logged(capsys)
    assert line["event"] == "no answer of mailto://***@mail.example/x"


async def test_what_nobody_awaited_is_told_once_by_who_did_await(capsys: pytest.CaptureFixture[str]) -> None:
    errors = pytest.importorskip("aiokafka.errors")
    configure_logging(LogSettings(format="json"))
    loop = asyncio.get_running_loop()
    for error in (errors.ProducerFenced(), ConnectionError("lost")):
        loop.create_future().set_exception(error)
        gc.collect()
    (line,) = logged(capsys)
    assert "ConnectionError" in line["event"], "only aiokafka's own is left out"


def test_the_console_shows_both_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="console"))
    logging.getLogger("aiokafka").error("away")
    structlog.get_logger("x").error("gone")
    theirs, ours = capsys.readouterr().err.splitlines()
    assert "away" in theirs
    assert "gone" in ours
