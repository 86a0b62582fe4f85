"""Bad arguments, files, environments and streams: a command exits with one clear message, never with a traceback."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli import RISKWIRE, environment

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.cli.config import check_settings
from riskwire.cli.store import list_stories
from riskwire.entities.watchlist import read_watchlist
from riskwire.errors import BusError, RiskwireError, SettingsError, StoreError
from riskwire.ingest.feeds.feed_file import read_feeds
from riskwire.ingest.feeds.feed_list import FeedList, permitted_url
from riskwire.settings import KafkaSettings, Settings, load_settings

SURROGATE = os.fsdecode(b"\xff")
"""How Python decodes an argument that is not UTF-8."""
ADD_B = ("watchlist", "add", "b", "--name", "B")
BOMB = "- &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(12)
)
"""A few hundred bytes of nested aliases that expand to a million million words."""


@pytest.fixture(autouse=True)
def _working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs each test in an empty directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["[" * 3_000, "- {id: 2001-99-99, name: x}", BOMB, "- 5", "a: 1", "\x00", "- {id: [1], name: {}, url: 3}"],
    ids=["deep", "invalid date", "bomb", "number", "mapping", "control character", "wrong types"],
)
@pytest.mark.parametrize("reader", [read_feeds, read_watchlist, load_settings])
def test_a_bad_file_is_refused_with_one_short_message_that_names_it(tmp_path: Path, text: str, reader: object) -> None:
    """Each file is read as a feed list, as a watchlist and as settings."""
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"bad\.yaml") as refusal:
        reader(file)  # type: ignore[operator]
    assert len(str(refusal.value)) < 1_000


def test_a_value_with_a_huge_repr_is_shortened_in_the_message() -> None:
    """The value is 60 nested lists, each twice in the next: its repr would have 2 ** 60 items."""
    value: list[object] = ["x"]
    for _ in range(60):
        value = [value, value]
    assert len(str(RiskwireError("no", value=value))) < 300


@pytest.mark.parametrize(
    "url", [f"https://e.example/{SURROGATE}", f"https://{SURROGATE}.example/"], ids=["path", "host"]
)
def test_an_address_with_a_surrogate_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="not an address"):
        permitted_url(url, "URL", ())


@pytest.mark.parametrize(("what", "named"), [("", None), ("https://e.example/", "")])
def test_an_empty_feed_id_is_refused(what: str, named: str | None) -> None:
    """An empty id is refused as the argument of `feeds add` and as its option.

    Args:
        what: the argument: the address or the id of a feed.
        named: the value of the option `--id`, or None.
    """
    with pytest.raises(SettingsError, match="''"):
        FeedList({}).feed_to_put(what, url=None, feed_id=named, changes={}, allow=())


@pytest.mark.parametrize("target", [SURROGATE, "a\x1b[31m", "a\nb"], ids=["surrogate", "escape", "line break"])
async def test_a_target_that_is_not_printable_is_refused(tmp_path: Path, target: str) -> None:
    await _make_bus(tmp_path)
    with pytest.raises(SettingsError, match="--target"):
        list_stories(Settings(data=tmp_path), target, json=False, limit=1)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("RISKWIRE_INGST__TIMEOUT_S", "1", r"RISKWIRE_INGST__TIMEOUT_S: there is no such setting.*did you mean ingest"),
        ("RISKWIRE_INGEST", "x", r"environment RISKWIRE_INGEST: ingest: a section.*RISKWIRE_INGEST__TIMEOUT_S"),
    ],
)
def test_an_unknown_environment_variable_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=message):
        load_settings()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bus": {"url": "kafka://"}}, "bus.url: allowed are"),
        ({"bus": {"url": "kafka://user:secret@host:9092"}}, "Set the user with kafka.username"),
        ({"bus": {"url": "kafka://h:1"}, "kafka": KafkaSettings(security="sasl_ssl")}, "needs a user"),
        ({"bus": {"url": "kafka://h:1"}, "kafka": KafkaSettings(security="ssl", ca_file=Path("no"))}, "kafka.ca_file"),
        ({"store": {"url": "nonsense"}}, "store.url"),
        ({"store": {"url": "mysql://h/d"}}, "no such kind of store"),
    ],
)
def test_config_check_refuses_settings_that_a_service_cannot_use(changes: dict[str, object], message: str) -> None:
    """The error names the setting and does not contain the password. Port 0 is any free port."""
    with pytest.raises(SettingsError, match=message) as refusal:
        check_settings(load_settings(None, {"web": {"port": 0}} | changes))
    assert "secret" not in str(refusal.value)


def test_config_check_lists_all_faults_at_once(tmp_path: Path) -> None:
    changes = {"web": {"port": 0}, "feeds": tmp_path / "no.yaml", "watchlist": tmp_path / "none.csv"}
    with pytest.raises(ExceptionGroup) as refusal:
        check_settings(load_settings(None, changes | {"store": {"url": "nonsense"}}))
    assert [type(error) for error in refusal.value.exceptions] == [SettingsError] * 3


def test_config_check_reaches_bus_and_store_and_counts(tmp_path: Path) -> None:
    """A file that is no bus, and one that is no store, are faults; an empty directory is none."""
    (tmp_path / "watch.csv").write_text("id,name,group\na,Acme,x\nb,Globex,x\n")
    settings = load_settings(None, {"web": {"port": 0}, "data": tmp_path / "data", "watchlist": tmp_path / "watch.csv"})
    assert "2 watched entities in 1 group" in check_settings(settings)
    (tmp_path / "data").mkdir()
    for name in ("bus.sqlite", "store.sqlite"):
        (tmp_path / "data" / name).write_bytes(b"x" * 5_000)
    with pytest.raises(ExceptionGroup) as refusal:
        check_settings(settings)
    assert [type(error) for error in refusal.value.exceptions] == [BusError, StoreError]


def test_a_number_for_a_section_says_what_to_write() -> None:
    with pytest.raises(SettingsError, match=r"write alerting\.budget\.notice: 0\.1, and alerting\.budget\.page"):
        load_settings(None, {"alerting": {"budget": 0.1}})


async def _make_bus(data: Path) -> None:
    bus = await EmbeddedBus.open(data, Settings().bus)
    await bus.close()


@pytest.fixture
def data_with_entry(tmp_path: Path) -> Path:
    """A data directory with a watchlist entry whose name has a letter outside ASCII."""
    data = tmp_path / "data"
    asyncio.run(_make_bus(data))
    done = run_with_output(subprocess.PIPE, "watchlist", "add", "zurich", "--name", "Zürich", "--data", data)
    assert (done.returncode, done.stdout) == (0, b"set zurich: Z\\xfcrich\n")
    return data


def run_with_output(out: object, *words: object) -> subprocess.CompletedProcess[bytes]:
    """Runs riskwire with ASCII as the encoding of the terminal.

    Args:
        out: where its standard output goes: a file, a file descriptor, or `PIPE`.
        words: the arguments of the command.

    Returns:
        the exit code, and standard error and (of a pipe) standard output as bytes.
    """
    env = environment(PYTHONIOENCODING="ascii")
    return subprocess.run(
        [RISKWIRE, *map(str, words)],
        env=env, stdout=out, stderr=subprocess.PIPE, check=False, timeout=120,  # type: ignore[call-overload]
    )  # fmt: skip


def test_an_ascii_terminal_gets_escapes_and_json_stays_utf8(data_with_entry: Path) -> None:
    """A letter that ASCII lacks is printed as an escape in a table; JSON is UTF-8 whatever the encoding."""
    table = run_with_output(subprocess.PIPE, "watchlist", "list", "--data", data_with_entry)
    assert (table.returncode, table.stderr) == (0, b"")
    assert b"Z\\xfcrich" in table.stdout
    lines = run_with_output(subprocess.PIPE, "watchlist", "list", "--json", "--data", data_with_entry)
    assert (lines.returncode, lines.stderr) == (0, b"")
    assert "Zürich" in lines.stdout.decode()


@pytest.mark.parametrize("words", [["list"], ["list", "--json"]], ids=["table", "json"])
def test_a_closed_pipe_is_no_error_message(data_with_entry: Path, words: list[str]) -> None:
    """The reader of the output is gone, as after `| head`: exit code 1 and nothing on standard error."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = run_with_output(write_end, "watchlist", *words, "--data", data_with_entry)
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (1, b"")


def test_an_output_that_cannot_be_written_is_an_error(data_with_entry: Path) -> None:
    """/dev/full fails every write for lack of space: exit code 1 and one line on standard error."""
    with Path("/dev/full").open("wb") as full:
        done = run_with_output(full, "config", "show")
    assert done.returncode == 1
    assert done.stderr.decode().startswith("riskwire: the output cannot be written: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("words", [["--version"], ["status", "--json"], ["watchlist", "list"], ["config", "show"]])
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"], ids=["output closed", "all streams closed"])
def test_a_command_with_closed_streams_succeeds_silently(data_with_entry: Path, words: list[str], closed: str) -> None:
    """A command whose standard streams are closed exits with 0 and prints nothing.

    Args:
        words: the command.
        closed: the redirections with which the shell closes the streams.
    """
    data = ["--data", str(data_with_entry)] if words[0] in ("status", "watchlist") else []
    done = run_with_closed_streams(closed, *words, *data)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_command_with_closed_streams_writes_its_data(data_with_entry: Path) -> None:
    """The command succeeds, and both entries, that of the fixture and the added one, are listed afterwards."""
    assert run_with_closed_streams("<&- >&- 2>&-", *ADD_B, "--data", str(data_with_entry)).returncode == 0
    rows = run_with_output(subprocess.PIPE, "watchlist", "list", "--json", "--data", data_with_entry)
    assert rows.stdout.count(b"\n") == 2


def test_a_failure_keeps_its_exit_code_when_the_output_cannot_be_written(tmp_path: Path) -> None:
    """A closed or full standard output changes neither the exit code 2 of a failure nor its message.

    The second part runs a script whose command prints a text and then fails.
    """
    refused = run_with_closed_streams(">&-", "status", "--data", str(tmp_path))
    assert (refused.returncode, refused.stderr.count(b"\n")) == (2, 1)
    script = (
        "import riskwire.cli.main as cli; from riskwire.errors import BusError\n"
        "def app(): print('partial'); raise BusError('the bus is away')\n"
        "app.add_typer = lambda *_, **__: None\n"  # the commands of models are added before the app runs
        "cli.app = app; cli.main()"  # the printed text is flushed at the end, which fails
    )
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment(PYTHONUNBUFFERED=""), stdout=full, stderr=subprocess.PIPE, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(b"riskwire: the bus is away\n")


def run_with_closed_streams(closed: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Runs riskwire from a shell that closes standard streams.

    Args:
        closed: redirections in the syntax of the shell, such as `>&-`, which closes standard output.
        words: the arguments of the command.
    """
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", str(RISKWIRE), *words],
        env=environment(), capture_output=True, check=False, timeout=120,
    )  # fmt: skip
