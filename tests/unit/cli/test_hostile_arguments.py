"""Whatever a command is given, it ends with one clear message that names it; never with a traceback."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli import RISKWIRE, environment

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.cli.check import check
from riskwire.cli.show import stories
from riskwire.entities.watchlist import read_watchlist
from riskwire.errors import RiskwireError, SettingsError
from riskwire.ingest.feeds.catalogue import Catalogue, permitted_url
from riskwire.ingest.feeds.feedlist import read_feeds
from riskwire.settings import KafkaSettings, Settings, load_settings

SURROGATE = os.fsdecode(b"\xff")
"""What Python makes of an argument that is not UTF-8."""
BOMB = "- &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(12)
)
"""A few hundred bytes that are a million million words when they are written out."""


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["[" * 3_000, "- {id: 2001-99-99, name: x}", BOMB, "- 5", "a: 1", "\x00", "- {id: [1], name: {}, url: 3}"],
    ids=["deep", "no such date", "bomb", "a number", "a mapping", "a control", "wrong kinds"],
)
@pytest.mark.parametrize("reader", [read_feeds, read_watchlist, load_settings])
def test_a_file_of_whatever_yaml_is_one_short_message_that_names_it(tmp_path: Path, text: str, reader: object) -> None:
    file = tmp_path / "given.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"given\.yaml") as told:
        reader(file)  # type: ignore[operator]
    assert len(str(told.value)) < 1_000


def test_a_value_that_is_endless_when_written_out_is_told_in_short() -> None:
    value: list[object] = ["x"]
    for _ in range(60):
        value = [value, value]
    assert len(str(RiskwireError("no", value=value))) < 300


@pytest.mark.parametrize("url", [f"https://e.example/{SURROGATE}", f"https://{SURROGATE}.example/"])
def test_an_address_that_is_no_unicode_is_refused_before_it_is_written(url: str) -> None:
    with pytest.raises(SettingsError, match="not an address"):
        permitted_url(url, "URL", ())


@pytest.mark.parametrize(("what", "named"), [("", None), ("https://e.example/", "")])
def test_an_empty_id_is_no_id(what: str, named: str | None) -> None:
    with pytest.raises(SettingsError, match="''"):
        Catalogue({}).to_add(what, url=None, named=named, changes={}, allow=())


@pytest.mark.parametrize("target", [SURROGATE, "a\x1b[31m", "a\nb"])
async def test_a_target_that_is_no_text_is_named(tmp_path: Path, target: str) -> None:
    await _make_bus(tmp_path)
    with pytest.raises(SettingsError, match="--target"):
        stories(Settings(data=tmp_path), target, json=False, limit=1)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("RISKWIRE_INGST__TIMEOUT_S", "1", r"RISKWIRE_INGST__TIMEOUT_S: there is no such setting.*did you mean ingest"),
        ("RISKWIRE_INGEST", "x", r"environment RISKWIRE_INGEST: ingest: a section.*RISKWIRE_INGEST__TIMEOUT_S"),
    ],
)
def test_a_variable_that_sets_nothing_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=told):
        load_settings()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bus": {"url": "kafka://"}}, "bus.url: allowed are"),
        ({"bus": {"url": "kafka://user:secret@host:9092"}}, "belong into kafka.username"),
        ({"bus": {"url": "kafka://h:1"}, "kafka": KafkaSettings(security="sasl_ssl")}, "needs a user"),
        ({"bus": {"url": "kafka://h:1"}, "kafka": KafkaSettings(security="ssl", ca_file=Path("no"))}, "kafka.ca_file"),
        ({"store": {"url": "nonsense"}}, "store.url"),
        ({"store": {"url": "mysql://h/d"}}, "no such kind of store"),
    ],
)
def test_config_check_finds_what_a_service_would_stumble_over(changes: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as refused:
        check(load_settings(None, {"web": {"port": 0}} | changes))
    assert "secret" not in str(refused.value)


async def _make_bus(data: Path) -> None:
    bus = await EmbeddedBus.open(data, Settings().bus)
    await bus.close()


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A data directory with an entry on its watchlist whose name an ASCII terminal cannot show."""
    data = tmp_path / "data"
    asyncio.run(_make_bus(data))
    done = told(subprocess.PIPE, "watchlist", "add", "zurich", "--name", "Zürich", "--data", data)
    assert (done.returncode, done.stdout) == (0, b"set zurich: Z\\xfcrich\n")
    return data


def told(out: object, *words: object) -> subprocess.CompletedProcess[bytes]:
    env = environment(PYTHONIOENCODING="ascii")
    return subprocess.run(
        [RISKWIRE, *map(str, words)],
        env=env, stdout=out, stderr=subprocess.PIPE, check=False, timeout=120,  # type: ignore[call-overload]
    )  # fmt: skip


def test_a_terminal_without_the_letters_gets_escapes_and_json_is_utf8_all_the_same(listed: Path) -> None:
    table = told(subprocess.PIPE, "watchlist", "list", "--data", listed)
    assert (table.returncode, table.stderr) == (0, b"")
    assert b"Z\\xfcrich" in table.stdout
    lines = told(subprocess.PIPE, "watchlist", "list", "--json", "--data", listed)
    assert (lines.returncode, lines.stderr) == (0, b"")
    assert "Zürich" in lines.stdout.decode()


@pytest.mark.parametrize("words", [["list"], ["list", "--json"]], ids=["table", "json"])
def test_whoever_stops_reading_hears_no_complaint(listed: Path, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = told(writing, "watchlist", *words, "--data", listed)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_an_output_that_cannot_be_written_is_told(listed: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = told(full, "config", "show")
    assert done.returncode == 1
    assert done.stderr.decode().startswith("riskwire: what was to be said cannot be written: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("words", [["--version"], ["status", "--json"], ["watchlist", "list"], ["config", "show"]])
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"], ids=["output", "all three"])
def test_who_is_started_with_streams_closed_says_nothing_and_ends_well(
    listed: Path, words: list[str], closed: str
) -> None:
    done = started_with(closed, *words, *(["--data", str(listed)] if words[0] in ("status", "watchlist") else []))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_with_the_streams_closed_the_data_is_written_as_ever(listed: Path) -> None:
    assert started_with("<&- >&- 2>&-", "watchlist", "add", "b", "--name", "B", "--data", str(listed)).returncode == 0
    rows = told(subprocess.PIPE, "watchlist", "list", "--json", "--data", listed)
    assert rows.stdout.count(b"\n") == 2


def test_the_exit_status_of_a_failure_stays_whatever_becomes_of_the_output(tmp_path: Path) -> None:
    refused = started_with(">&-", "status", "--data", str(tmp_path))
    assert (refused.returncode, refused.stderr.count(b"\n")) == (2, 1)
    script = (
        "import riskwire.cli.main as cli; from riskwire.errors import BusError\n"
        "def app(): print('half of it'); raise BusError('the bus is away')\n"
        "cli.app = app; cli.main()"  # what is printed is written at the end, and then cannot be
    )
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment(PYTHONUNBUFFERED=""), stdout=full, stderr=subprocess.PIPE, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(b"riskwire: the bus is away\n")


def started_with(closed: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run by a shell that closes standard streams."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", str(RISKWIRE), *words],
        env=environment(), capture_output=True, check=False, timeout=120,
    )  # fmt: skip
