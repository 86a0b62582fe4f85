"""`riskwire why` lists the stories that came near an event alert of a target, with the reasons, and the alerts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from timeline import Timeline, event, mark
from typer.testing import CliRunner, Result

from riskwire.alerting.events.rules import load_rules
from riskwire.cli.main import app
from riskwire.records import Signal
from riskwire.settings import Settings
from riskwire.store import Store

FIRES = load_rules().rule("results_bad", "", ()).threshold
"""The probability of a material level from which bad results fire by the rules that ship."""


@pytest.fixture
def why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command on a store in which one story fired, one joined it, and one came near ten days later."""
    monkeypatch.setenv("COLUMNS", "700")
    (tmp_path / "bus.sqlite").touch()  # marks a data directory; the command reads only the store
    timeline = Timeline()
    timeline.quiet(0, 24)
    news: list[Signal] = [
        event(33, "Acme files for bankruptcy", "bankruptcy"),
        event(34, "Acme creditors meet", "distress"),
        event(33 + 240, "Acme disappoints", "results_bad", material=0.2, mild=0.5),
    ]
    for hour, story in zip((33, 34, 273), news, strict=True):
        timeline.feed(story, mark(hour + 0.1, (float(hour),)))
    with Store.open(Settings(data=tmp_path)) as store:
        store.write_signals(news)
        store.write_alerts(timeline.alerts)
        store.write_near_misses(timeline.near_misses)
    return lambda *words: CliRunner().invoke(app, ["why", *words, "--data", str(tmp_path)])


def test_the_table_tells_what_notified_what_did_not_and_why(why: Callable[..., Result]) -> None:
    """The newest decision stands first. The target may be given without `entity:`."""
    result = why("acme")
    head, *lines = result.output.splitlines()
    assert head.split()[-1] == "why"
    assert [line.split("  ")[1].strip() for line in lines] == [
        "level",
        "event resolved",
        "same episode",
        "event firing",
    ]
    assert "Acme disappoints" in lines[0]
    assert f"It is not material for the target: the probability is 0.20; {FIRES:.2f} fires." in lines[0]
    assert "The running alert has told of distress, and counts this story." in lines[2]
    assert re.search(r"It would not have fired with a probability below 0\.\d\d that it concerns the target", lines[3])
    assert "nor if the words did not state it outright" in lines[3]


def test_a_time_limits_the_list_to_a_day_before_and_after(why: Callable[..., Result]) -> None:
    """The first decisions were on 2031-03-02, the last one on 2031-03-12."""
    lines = why("entity:acme", "--at", "2031-03-12T12:00").output.splitlines()
    assert [line.split("  ")[1].strip() for line in lines[1:]] == ["level"]
    assert "Nothing about entity:acme" in why("entity:acme", "--at", "2030-01-01").output


def test_json_has_the_near_misses_as_records(why: Callable[..., Result]) -> None:
    rows = [json.loads(line) for line in why("acme", "--json").output.splitlines()]
    assert [(row["reason"], row["title"]) for row in rows] == [
        ("level", "Acme disappoints"),
        ("same_episode", "Acme creditors meet"),
    ]
    assert rows[0]["level"]["mild"] == 0.5
    assert rows[0]["threshold"] == FIRES


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nobody",), r"there is no such target.*nobody.*appears with its first story"),
        (("acme", "--at", "yesterday"), r"--at: not a time.*yesterday"),
        (("acme", "--at", "0001-01-01"), r"--at: not a time"),
    ],
)
def test_a_target_or_time_that_does_not_exist_is_named(
    why: Callable[..., Result], words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(Exception, match=message):
        raise why(*words).exception or AssertionError
