"""Watchlists are read as spreadsheets export them."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from riskwire.entities.watchlist import WatchedEntity, read_watchlist
from riskwire.errors import SettingsError


def read(tmp_path: Path, raw: bytes, name: str = "holdings.csv") -> tuple[WatchedEntity, ...]:
    file = tmp_path / name
    file.write_bytes(raw)
    return read_watchlist(file).entities


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_holdings_are_read_as_excel_writes_them(tmp_path: Path, separator: str, encoding: str) -> None:
    """Byte-order mark, `;` or tabs, Windows line ends, other names of columns, an empty last row, and no ids."""
    rows = [
        ("Company Name", "Ticker", "ISIN", "Sector", "Weight (%)", "Price"),
        ("Nestlé S.A.", "NSRGY", "CH0038863350", "food", '"4,1"', '"80,5"'),
        ("Apple Inc.", "", "US0378331005", "tech", "3.9 %", "150"),
        ("", "", "", "", "", ""),
    ]
    text = "\r\n".join(separator.join(row) for row in rows)
    with capture_logs() as logs:
        nestle, apple = read(tmp_path, text.encode(encoding))
    assert (nestle.id, nestle.name, nestle.tickers, nestle.group) == ("nsrgy", "Nestlé S.A.", ("NSRGY",), "food")
    assert (apple.id, apple.isin) == ("us0378331005", "US0378331005")
    assert (nestle.weight, apple.weight) == (4.1, 3.9)
    assert logs[0]["columns"] == ["Price"]


def test_a_weight_that_may_be_thousands_or_thousandths_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"line 2 .a.: weight: .*got '1,234'"):
        read(tmp_path, b'id,name,weight\na,Acme,"1,234"\n')


def test_the_line_by_which_excel_tells_the_separator_is_no_row(tmp_path: Path) -> None:
    """The lines of messages count it."""
    assert read(tmp_path, b"sep=;\r\nid;name\r\na;Acme\r\n")[0].name == "Acme"
    with pytest.raises(SettingsError, match="line 3"):
        read(tmp_path, b"sep=;\r\nid;name\r\n!;Acme\r\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,name,alises\na,Acme,A\n", "unknown column .got 'alises'.*Write `aliases`"),
        ("name,company\nAcme,Acme\n", "several columns for `name`"),
        ("ticker,weight\nA,1\n", "no column `name`"),
    ],
)
def test_columns_that_may_be_a_mistake_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """A misspelt column that was ignored would leave out names, and so miss news in silence."""
    with pytest.raises(SettingsError, match=message):
        read(tmp_path, text.encode())
