"""`riskwire watchlist …` as a person uses it, on the data directory of an embedded bus."""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.cli.main import app, main
from riskwire.entities.watchlist import WatchedEntity
from riskwire.entities.watchlist import Watchlist as BaseList
from riskwire.errors import SettingsError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings
from riskwire.watching import WatchlistEditor

Watchlist = Callable[..., Result]

ENTRIES = """
- {id: acme, name: Acme Corp, aliases: [Acme Industries], tickers: [ACM], isin: US0378331005, group: makers}
- {id: globex, name: Globex}
"""


def bus_of(data: Path) -> tuple[int, dict[str, bytes]]:
    """How many commands there are, and what the list is."""

    async def look() -> tuple[int, dict[str, bytes]]:
        bus = await EmbeddedBus.open(data, BusSettings())
        try:
            return (await bus.records())[Topic.COMMANDS], await bus.publisher_state("watchlist")
        finally:
            await bus.close()

    return asyncio.run(look())


@pytest.fixture(autouse=True)
def _log_of_the_process() -> Iterator[None]:
    """A command writes its log to the standard error it was given, which ends with it."""
    kept = structlog.get_config()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**kept)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    bus_of(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def watchlist(data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Watchlist:
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, ["watchlist", *map(str, words), "--data", str(data)])

    return run


def listed(watchlist: Watchlist) -> list[dict[str, Any]]:
    done = watchlist("list", "--json")
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def refused(done: Result) -> str:
    """The message of an error that a person can act on."""
    assert isinstance(done.exception, SettingsError)
    return str(done.exception)


def test_the_first_entry_says_what_follows_and_is_signed_with_the_login_name(watchlist: Watchlist) -> None:
    done = watchlist(
        *("add", "acme", "--name", "Acme Corp", "--alias", "Acme Industries", "--alias", "Acme"),
        *("--ticker", "$acm", "--isin", "us0378331005", "--group", "makers"),
    )
    assert done.exit_code == 0, done.output
    assert done.stdout == "set acme: Acme Corp\n"
    assert done.stderr == "From now on only what is on the watchlist is followed.\n"
    (row,) = listed(watchlist)
    assert row.pop("at").endswith("Z")
    assert row == {
        "id": "acme",
        "name": "Acme Corp",
        "aliases": ["Acme Industries", "Acme"],
        "tickers": ["ACM"],
        "isin": "US0378331005",
        "group": "makers",
        "by": getpass.getuser(),
    }
    again = watchlist("add", "globex", "--name", "Globex", "--by", "ada")
    assert (again.stdout, again.stderr) == ("set globex: Globex\n", "")
    same = watchlist("add", "globex", "--name", "Globex", "--by", "bob")
    assert same.stdout == "is on the list already: globex: Globex\n"


def test_a_file_is_imported_as_one_step_and_only_what_differs_is_written(
    watchlist: Watchlist, data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "list.yaml"
    file.write_text(ENTRIES)
    assert watchlist("import", file).stdout == "2 set, 0 removed, 0 as they were\n"
    csv = tmp_path / "list.csv"
    csv.write_text("id,name,aliases\nglobex,Globex,\ninitech,Initech,Initech Corp;Initrode\n")
    assert watchlist("import", csv).stdout == "1 set, 0 removed, 1 as they were\n"
    assert [row["id"] for row in listed(watchlist)] == ["acme", "globex", "initech"]
    assert watchlist("import", csv, "--replace").stdout == "0 set, 1 removed, 2 as they were\n"
    assert [row["id"] for row in listed(watchlist)] == ["globex", "initech"]
    assert bus_of(data)[0] == 4


def test_a_file_of_which_one_entry_clashes_changes_nothing(watchlist: Watchlist, data: Path, tmp_path: Path) -> None:
    watchlist("add", "held", "--name", "Globex Corp")
    file = tmp_path / "list.yaml"
    file.write_text(ENTRIES)
    assert "'held' and 'globex' both claim the name 'Globex'" in refused(watchlist("import", file))
    file.write_text("- {id: a, name: One}\n- {id: b, name: One}\n")
    assert f"{file}: 'a' and 'b' both claim" in refused(watchlist("import", file))
    assert bus_of(data)[0] == 1


def test_an_entry_is_removed_and_one_that_was_not_commanded_says_where_it_is(
    watchlist: Watchlist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watchlist("add", "acme", "--name", "Acme")
    done = watchlist("remove", "acme")
    assert done.stdout == "removed acme\n"
    assert "The watchlist is empty: from now on every entity that is found is followed." in done.stderr
    assert listed(watchlist) == []
    assert "`riskwire watchlist list` shows" in refused(watchlist("remove", "acme"))
    file = tmp_path / "list.yaml"
    file.write_text(ENTRIES)
    monkeypatch.setenv("RISKWIRE_WATCHLIST", str(file))
    assert f"It is in {file}: take it out there" in refused(watchlist("remove", "acme"))
    assert [(row["id"], row["by"]) for row in listed(watchlist)] == [("acme", None), ("globex", None)]
    assert "the file" in watchlist("list").stdout
    assert watchlist("add", "initech", "--name", "Initech").stderr == "", "a file had been followed before"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", "acme", "--name", "..."), "no letter or digit"),
        (("add", "-x", "--name", "Acme"), "No such option"),
        (("add", "a b", "--name", "Acme"), "id: "),
        (("add", "acme", "--name", "Acme", "--isin", "US0378331006"), "not an ISIN"),
        (("add", "acme", "--name", "Acme", "--by", " "), "by: "),
        (("add", "acme", "--name", "Ac\x1b[2Jme"), "name: has a control character (got 'Ac\\x1b[2Jme')"),
        (("add", "acme", "--name", "Acme", "--alias", "Ac\nme"), "aliases: has a control character"),
        (("add", "acme", "--name", "Acme", "--group", "a\x9bb"), "group: has a control character"),
        (("add", "acme", "--name", "Acme", "--by", "eve\x1b]0;x\x07"), "by: has a control character"),
        (("import", "none.yaml"), "cannot be read"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(
    watchlist: Watchlist, data: Path, words: tuple[str, ...], says: str
) -> None:
    done = watchlist(*words)
    assert done.exit_code != 0
    assert says in done.stderr + str(done.exception)
    assert bus_of(data)[0] == 0


def test_a_directory_without_data_is_not_made_into_one(tmp_path: Path) -> None:
    nothing = tmp_path / "typo"
    done = CliRunner().invoke(app, ["watchlist", "add", "acme", "--name", "Acme", "--data", str(nothing)])
    assert "there is no data of riskwire" in refused(done)
    assert not nothing.exists()


def test_an_entry_that_was_written_with_control_characters_is_shown_without_steering_the_terminal(
    watchlist: Watchlist, data: Path
) -> None:
    hostile = "Ac\x1b[2J\\[/x]"

    async def put() -> None:
        entity = WatchedEntity(id="acme", name=hostile, group="[/x]")
        bus = await EmbeddedBus.open(data, BusSettings())
        await WatchlistEditor(bus, BaseList()).put([entity], "ada")
        await bus.close()

    asyncio.run(put())
    told = watchlist("list")
    assert told.exit_code == 0
    assert r"Ac\x1b[2J\[/x]" in told.stdout
    assert "\x1b" not in told.stdout
    assert [row["name"] for row in listed(watchlist)] == [hostile]
    assert watchlist("remove", "acme").stdout == "removed acme\n"


def test_an_error_that_quotes_what_came_from_outside_does_not_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["riskwire", "watchlist", "import", "a\x1b]0;x\x07b.yaml"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert r"a\x1b]0;x\x07b.yaml: the watchlist" in told
    assert "\x1b" not in told
