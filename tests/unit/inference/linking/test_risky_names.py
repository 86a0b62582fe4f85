"""Risky names of a watchlist are reported, with the titles in which they may mean something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskwire.cli.config import _warn_of_risky_names
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.linking.risky_names import RiskyName, risky_names
from riskwire.settings import Settings

GAP = WatchedEntity(id="gap", name="Gap Inc.", aliases=("Gap",), tickers=("GPS", "GAPS"), exclude=("gap week",))
NASDAQ = WatchedEntity(id="nasdaq", name="Nasdaq, Inc.", aliases=("Nasdaq",))
BOEING = WatchedEntity(id="boeing", name="Boeing", tickers=("BA",))
TITLES = [
    "Gap Inc closes shops",
    "Gap misses estimates",
    "Gap in our knowledge of oceans",
    "Gap is closing fast",
    "Gap Week begins",
    "Nasdaq gains 1 percent",
    "Boeing falls",
]


def test_risky_names_are_common_words_indices_and_tickers_that_are_words() -> None:
    """The title with the legal form is found by the fuller name; those in phrases do not count."""
    assert risky_names(Watchlist((GAP, NASDAQ, BOEING)), TITLES) == [
        RiskyName("gap", "Gap", "support", titles=2, shown=1, examples=("Gap is closing fast",)),
        RiskyName("gap", "GAPS", "support"),
        RiskyName("nasdaq", "Nasdaq", "mark", titles=1, examples=("Nasdaq gains 1 percent",)),
    ]
    assert risky_names(Watchlist((BOEING,)), TITLES) == []


def test_config_check_warns_of_risky_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first start there is no store, so there are no titles."""
    lines: list[str] = []
    monkeypatch.setattr("typer.echo", lambda text, **_: lines.append(text))
    (tmp_path / "watchlist.yaml").write_text("- {id: visa, name: Visa Inc., aliases: [Visa]}\n")
    _warn_of_risky_names(Settings(data=tmp_path / "data", watchlist=tmp_path / "watchlist.yaml"))
    assert lines == ["warning: 'Visa' of visa is a common word: it counts only with support"]
