"""Reading a watchlist; an error names the file, the entry and the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskwire.entities.isin import is_isin
from riskwire.entities.watchlist import WatchedEntity, Watchlist, read_watchlist
from riskwire.errors import SettingsError

YAML = """
- {id: aapl, name: Apple Inc., aliases: [Apple], tickers: [$aapl], isin: US0378331005, group: tech}
- {id: gm, name: General Motors}
"""
CSV = """\ufeffid,name,aliases,tickers,isin,group
aapl,Apple Inc.,Apple|iPhone maker,AAPL;APC,US0378331005,tech
gm,"General Motors",,,,
"""


def write(folder: Path, text: str, name: str = "watch.yaml") -> Path:
    """Writes a watchlist file and returns its path. The suffix of `name` decides the format: .yaml or .csv."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_yaml_watchlist_is_read(tmp_path: Path) -> None:
    watchlist = read_watchlist(write(tmp_path, YAML))
    apple, gm = watchlist.entities
    assert (apple.target, apple.tickers, apple.isin, apple.group) == ("entity:aapl", ("AAPL",), "US0378331005", "tech")
    assert (gm.aliases, gm.group) == ((), None)
    assert watchlist.members("tech") == (apple,)


def test_a_csv_watchlist_with_the_same_columns_is_read(tmp_path: Path) -> None:
    apple, gm = read_watchlist(write(tmp_path, CSV, "watch.csv")).entities
    assert (apple.aliases, apple.tickers) == (("Apple", "iPhone maker"), ("AAPL", "APC"))
    assert gm.name == "General Motors"


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("- {id: a, name: Acme}\n- {id: b, name: B, aliases: [ACME Corp.]}", "w.yaml", ["'a' and 'b'", "ACME Corp."]),
        (
            "- {id: a, name: A1, tickers: [GM]}\n- {id: b, name: B1, tickers: [gm]}",
            "w.yaml",
            ["'a' and 'b'", "ticker 'GM'"],
        ),
        ("- {id: a, name: A1, tickers: [GM]}\n- {id: b, name: GM}", "w.yaml", ["'a' and 'b'", "GM"]),
        ("- {id: a, name: A1}\n- {id: A, name: B1}", "w.yaml", ["both claim the id"]),
        ("- {id: a, name: A1, isin: US0378331006}", "w.yaml", ["entry 1 (a)", "isin", "US0378331006"]),
        ("- {id: a, name: A1, alias: x}", "w.yaml", ["entry 1 (a)", "alias", "there is no such field"]),
        ("- {id: a}", "w.yaml", ["entry 1 (a)", "name: is required"]),
        ("- {id: a, name: '...'}", "w.yaml", ["name", "no letter or digit"]),
        ("- just text", "w.yaml", ["entry 1", "mapping"]),
        ("a: b", "w.yaml", ["must be a list"]),
        ("[", "w.yaml", ["the watchlist cannot be read: line 1, column 2"]),
        ("id,nome\na,Acme\n", "w.csv", ["columns", "nome"]),
        ("id,name\na,Acme,extra\n", "w.csv", ["line 2", "more cells"]),
        ("id,name\n,Acme\n", "w.csv", ["line 2", "id: is required"]),
        ("", "w.csv", ["columns"]),
    ],
)
def test_the_error_of_an_invalid_watchlist_names_file_entry_and_field(
    tmp_path: Path, text: str, name: str, words: list[str]
) -> None:
    """Reads an invalid watchlist file.

    Args:
        text: the content of the file.
        name: the name of the file; its suffix decides the format.
        words: texts that the error must have, beside the name.
    """
    with pytest.raises(SettingsError) as caught:
        read_watchlist(write(tmp_path, text, name))
    for word in [name, *words]:
        assert word in str(caught.value)


def test_a_missing_watchlist_and_one_that_is_not_utf_8_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_watchlist(tmp_path / "missing.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(SettingsError, match="not UTF-8"):
        read_watchlist(tmp_path / "bytes.yaml")


def test_an_empty_watchlist_is_falsy() -> None:
    assert not Watchlist()


@pytest.mark.parametrize("isin", ["US0378331005", "DE0007164600", "GB0005405286", "CH0012032048", "AU0000XVGZA3"])
def test_an_isin_needs_the_right_check_digit(isin: str) -> None:
    """An ISIN with another last digit, or in lower case, is refused."""
    assert is_isin(isin)
    assert not is_isin(isin[:-1] + str((int(isin[-1]) + 1) % 10))
    assert not is_isin(isin.lower())


def test_all_wrong_entries_are_named_at_once(tmp_path: Path) -> None:
    """Two entries are wrong in themselves, and two pairs claim a name in common."""
    text = (
        "- {id: a, name: Acme}\n- {id: b}\n- {id: c, name: ACME}\n- {id: d, name: Delta, isin: X}\n"
        "- {id: e, name: acme}\n"
    )
    with pytest.raises(ExceptionGroup) as caught:
        read_watchlist(write(tmp_path, text))
    faults = [str(fault).partition("watch.yaml: ")[2] for fault in caught.value.exceptions]
    starts = [
        "entry 2 (b): name: is required",
        "entry 4 (d): isin: ",
        "'a' and 'c' both claim",
        "'a' and 'e' both claim",
    ]
    assert [fault.startswith(start) for fault, start in zip(faults, starts, strict=True)] == [True] * 4, faults


@pytest.mark.parametrize(("written", "weight"), [("", 1.0), (", weight: 0", 0.0), (", weight: 2.5", 2.5)])
def test_an_entry_has_a_weight_which_is_one_by_default(tmp_path: Path, written: str, weight: float) -> None:
    (entity,) = read_watchlist(write(tmp_path, f"- {{id: a, name: Acme{written}}}")).entities
    assert entity.weight == weight


@pytest.mark.parametrize("weight", ["-1", ".inf", "-.inf", ".nan", "yes", "1e13", "heavy", "[1]"])
@pytest.mark.parametrize("name", ["w.yaml", "w.csv"])
def test_a_weight_that_is_no_amount_is_refused_by_value_and_place(tmp_path: Path, weight: str, name: str) -> None:
    text = f"- {{id: a, name: Acme, weight: {weight}}}" if name == "w.yaml" else f"id,name,weight\na,Acme,{weight}\n"
    path = write(tmp_path, text, name)
    with pytest.raises(SettingsError, match="weight") as refused:
        read_watchlist(path)
    place = "entry 1 (a)" if name == "w.yaml" else "line 2 (a)"
    assert f"{path}: {place}" in str(refused.value)
    assert "got" in str(refused.value)


def test_a_spreadsheet_may_call_the_weight_exposure(tmp_path: Path) -> None:
    (entity,) = read_watchlist(write(tmp_path, "id,name,Exposure\na,Acme,12.5\n", "w.csv")).entities
    assert entity.weight == 12.5


def test_a_group_weighs_as_much_as_its_heaviest_member() -> None:
    entries = [("a", "banks", 2.0), ("b", "banks", 5.0), ("c", "cars", 0.0), ("d", None, 9.0)]
    watchlist = Watchlist(
        tuple(WatchedEntity(id=i, name=f"Name {i}", group=group, weight=w) for i, group, w in entries)
    )
    assert watchlist.group_weights() == {"banks": 5.0, "cars": 0.0}
