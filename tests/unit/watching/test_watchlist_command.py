"""The commands `riskwire watchlist …`, on the data directory of an embedded bus."""

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
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.errors import SettingsError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings
from riskwire.watching import WatchlistEditor

RunWatchlist = Callable[..., Result]

ENTRIES = """
- {id: acme, name: Acme Corp, aliases: [Acme Industries], tickers: [ACM], isin: US0378331005, group: makers}
- {id: globex, name: Globex}
"""


def commands_and_state(data: Path) -> tuple[int, dict[str, bytes]]:
    """Returns the number of commands, and the committed state of the watchlist."""

    async def read() -> tuple[int, dict[str, bytes]]:
        """Returns the number of commands on the bus, and the state of the watchlist's publisher."""
        bus = await EmbeddedBus.open(data, BusSettings())
        try:
            return (await bus.records())[Topic.COMMANDS], await bus.publisher_state("watchlist")
        finally:
            await bus.close()

    return asyncio.run(read())


@pytest.fixture(autouse=True)
def _log_of_the_process() -> Iterator[None]:
    """Restores logging after a test: a command logs to the captured standard error, which is closed afterwards."""
    config = structlog.get_config()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**config)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    commands_and_state(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def watchlist(data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunWatchlist:
    """Returns a function that runs `riskwire watchlist` with arguments in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["watchlist", *map(str, arguments), "--data", str(data)])

    return run


def listed_entries(watchlist: RunWatchlist) -> list[dict[str, Any]]:
    """Returns the entries that `riskwire watchlist list --json` prints."""
    result = watchlist("list", "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def settings_error(result: Result) -> str:
    """Returns the message of the settings error that a command ended with."""
    assert isinstance(result.exception, SettingsError)
    return str(result.exception)


def test_the_first_entry_explains_its_effect_and_is_signed_with_the_login_name(watchlist: RunWatchlist) -> None:
    result = watchlist(
        *("add", "acme", "--name", "Acme Corp", "--alias", "Acme Industries", "--alias", "Acme"),
        *("--ticker", "$acm", "--isin", "us0378331005", "--group", "makers"),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == "set acme: Acme Corp\n"
    assert result.stderr == "From now on riskwire follows only what is on the watchlist.\n"
    (row,) = listed_entries(watchlist)
    assert row.pop("at").endswith("Z")
    assert row == {
        "id": "acme",
        "name": "Acme Corp",
        "aliases": ["Acme Industries", "Acme"],
        "tickers": ["ACM"],
        "isin": "US0378331005",
        "group": "makers",
        "exclude": [],
        "weight": 1.0,
        "by": getpass.getuser(),
    }
    second = watchlist("add", "globex", "--name", "Globex", "--by", "ada")
    assert (second.stdout, second.stderr) == ("set globex: Globex\n", "")
    unchanged = watchlist("add", "globex", "--name", "Globex", "--by", "bob")
    assert unchanged.stdout == "is on the list already: globex: Globex\n"


def test_an_import_publishes_only_the_entries_that_differ(watchlist: RunWatchlist, data: Path, tmp_path: Path) -> None:
    """The first file sets acme and globex, the second globex and initech. `--replace` removes all other entries."""
    file = tmp_path / "list.yaml"
    file.write_text(ENTRIES)
    assert watchlist("import", file).stdout == "2 set, 0 removed, 0 unchanged\n"
    csv = tmp_path / "list.csv"
    csv.write_text("id,name,aliases\nglobex,Globex,\ninitech,Initech,Initech Corp;Initrode\n")
    assert watchlist("import", csv).stdout == "1 set, 0 removed, 1 unchanged\n"
    assert [row["id"] for row in listed_entries(watchlist)] == ["acme", "globex", "initech"]
    assert watchlist("import", csv, "--replace").stdout == "0 set, 1 removed, 2 unchanged\n"
    assert [row["id"] for row in listed_entries(watchlist)] == ["globex", "initech"]
    assert commands_and_state(data)[0] == 4


def test_an_import_with_a_conflicting_entry_has_no_effect(watchlist: RunWatchlist, data: Path, tmp_path: Path) -> None:
    """Two entries may not have the same name: first an entry on the list and one of the file, then two of the file."""
    watchlist("add", "held", "--name", "Globex Corp")
    file = tmp_path / "list.yaml"
    file.write_text(ENTRIES)
    assert "'held' and 'globex' both claim the name 'Globex'" in settings_error(watchlist("import", file))
    file.write_text("- {id: a, name: One}\n- {id: b, name: One}\n")
    assert f"{file}: 'a' and 'b' both claim" in settings_error(watchlist("import", file))
    assert commands_and_state(data)[0] == 1


def test_an_entry_is_removed_unless_it_comes_from_the_file_which_the_error_names(
    watchlist: RunWatchlist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list has entries set by command, and those of the file that RISKWIRE_WATCHLIST names."""
    watchlist("add", "acme", "--name", "Acme")
    result = watchlist("remove", "acme")
    assert result.stdout == "removed acme\n"
    assert "The watchlist is empty: from now on riskwire follows every entity it finds." in result.stderr
    assert listed_entries(watchlist) == []
    assert "`riskwire watchlist list` lists the entries" in settings_error(watchlist("remove", "acme"))
    file = tmp_path / "list.yaml"
    file.write_text(ENTRIES)
    monkeypatch.setenv("RISKWIRE_WATCHLIST", str(file))
    assert f"It is in {file}: remove it there and restart" in settings_error(watchlist("remove", "acme"))
    assert [(row["id"], row["by"]) for row in listed_entries(watchlist)] == [("acme", None), ("globex", None)]
    assert "the file" in watchlist("list").stdout
    watchlist("add", "acme", "--name", "Acme Holdings")
    result = watchlist("remove", "acme")
    assert result.stdout == "removed acme\n"
    assert f"acme is watched as before: it is in {file}" in result.stderr
    # Riskwire followed the entries of the file before, so this entry is not the first.
    assert watchlist("add", "initech", "--name", "Initech").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_an_invalid_entry_is_refused_with_the_field_in_the_message(
    watchlist: RunWatchlist, data: Path, arguments: tuple[str, ...], message: str
) -> None:
    """No command is published. "-x" is refused as an unknown option, and a missing file with its name."""
    result = watchlist(*arguments)
    assert result.exit_code != 0
    assert message in result.stderr + str(result.exception)
    assert commands_and_state(data)[0] == 0


def test_a_directory_without_data_is_refused_and_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "typo"
    result = CliRunner().invoke(app, ["watchlist", "add", "acme", "--name", "Acme", "--data", str(missing)])
    assert "there is no data of riskwire" in settings_error(result)
    assert not missing.exists()


def test_control_characters_of_an_entry_are_escaped_in_the_list(watchlist: RunWatchlist, data: Path) -> None:
    hostile = "Ac\x1b[2J\\[/x]"

    async def put() -> None:
        """Puts an entry with a hostile name on the watchlist."""
        entity = WatchedEntity(id="acme", name=hostile, group="[/x]")
        bus = await EmbeddedBus.open(data, BusSettings())
        await WatchlistEditor(bus, Watchlist()).put([entity], "ada")
        await bus.close()

    asyncio.run(put())
    result = watchlist("list")
    assert result.exit_code == 0
    assert r"Ac\x1b[2J\[/x]" in result.stdout
    assert "\x1b" not in result.stdout
    assert [row["name"] for row in listed_entries(watchlist)] == [hostile]
    assert watchlist("remove", "acme").stdout == "removed acme\n"


def test_control_characters_of_an_argument_are_escaped_in_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["riskwire", "watchlist", "import", "a\x1b]0;x\x07b.yaml"])
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert r"a\x1b]0;x\x07b.yaml: the watchlist" in error
    assert "\x1b" not in error
