"""`riskwire alerts …` records decisions on the bus, refuses what cannot be decided, and `label export` makes labels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import fictional
import pytest
from typer.testing import CliRunner, Result

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.cli.main import app
from riskwire.errors import SettingsError
from riskwire.pipeline import Topic
from riskwire.records import Command
from riskwire.settings import BusSettings, Settings
from riskwire.store import Store
from riskwire_models.data.own_labels import read_own_labels

ALERT = fictional.alert("veldara", events=("litigation",))
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on a data directory with two alerts, of which one has ended. Decisions reach the store."""
    monkeypatch.setenv("COLUMNS", "300")
    ended = fictional.alert("osmark", target="entity:osmark", status="resolved", at=ALERT.at + timedelta(hours=1))
    with Store.open(Settings(data=tmp_path)) as store:
        store.write_alerts([ALERT, ended])
    asyncio.run(_commands(tmp_path))

    def invoke(*words: str) -> Result:
        result = CliRunner().invoke(app, [*words, "--data", str(tmp_path)])
        with Store.open(Settings(data=tmp_path)) as store:
            store.write_commands(asyncio.run(_commands(tmp_path)))
        return result

    return invoke


async def _commands(data: Path) -> list[Command]:
    """Returns the commands on the bus, which is created if it is not there."""
    bus = await EmbeddedBus.open(data, BusSettings())
    try:
        return [Command.model_validate_json(record.value) for record in await bus.read(Topic.COMMANDS, 0, 0, 100)]
    finally:
        await bus.close()


def test_alerts_can_be_listed_by_exposure_and_severity(tmp_path: Path, run: Run) -> None:
    heavy = fictional.alert("pelorum", target="entity:pelorum", weight=7.5, at=ALERT.at - timedelta(hours=1))
    with Store.open(Settings(data=tmp_path)) as store:
        store.write_alerts([heavy])
    listed = [json.loads(line)["id"] for line in run("alerts", "--open", "--json").output.splitlines()]
    assert listed == [ALERT.id, heavy.id]
    ranked = run("alerts", "--open", "--order", "priority", "--json").output.splitlines()
    assert [json.loads(line)["id"] for line in ranked] == [heavy.id, ALERT.id]
    assert "7.5" in run("alerts", "--order", "priority").output
    assert len(run("alerts", "--json").output.splitlines()) == 3


def test_each_decision_is_shown_with_who_made_it(run: Run) -> None:
    """An alert may be named by the start of its id."""
    short = ALERT.id[:6]
    decided = [
        run("alerts", "ack", short, "--by", "ada"),
        run("alerts", "assign", short, "grace", "--by", "ada"),
        run("alerts", "snooze", short, "--for", "4h", "--by", "grace"),
        run("alerts", "comment", short, "looking into it", "--by", "grace"),
        run("alerts", "mute", "--type", "litigation", "--for", "3d", "--by", "ada"),
    ]
    assert [result.exit_code for result in decided] == [0] * 5, [result.output for result in decided]
    assert "This replaces what ada decided" in decided[2].output
    assert "assigned to grace" in decided[2].output.splitlines()[1]
    shown = json.loads(run("alerts", "show", short, "--json").output)
    assert (shown["handling"], shown["handled_by"], shown["assigned_to"]) == ("snoozed", "grace", "grace")
    assert shown["muted"] == "type:litigation"
    text = run("alerts", "show", ALERT.id).output
    assert "snoozed by grace; assigned to grace; muted (type:litigation)" in text
    assert "looking into it" in text
    log = [json.loads(line) for line in run("alerts", "log", "--json").output.splitlines()]
    assert [row["kind"] for row in log] == ["mute", "comment", "snooze", "assign", "acknowledge"]
    assert "type:litigation" in run("alerts", "mutes").output
    assert run("alerts", "unmute", "--type", "litigation", "--by", "ada").exit_code == 0
    assert "Nothing is muted." in run("alerts", "mutes").output


def test_the_list_of_alerts_is_printed_without_a_further_word(run: Run) -> None:
    rows = [json.loads(line) for line in run("alerts", "--json").output.splitlines()]
    assert [row["target"] for row in rows] == ["entity:osmark", ALERT.target]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ack", "feed"), "there is no such alert"),
        (("ack", fictional.alert("osmark").id), "this alert ended"),
        (("snooze", ALERT.id), "a snooze needs an end"),
        (("snooze", ALERT.id, "--for", "soon"), "not a duration"),
        (("snooze", ALERT.id, "--until", "2001-01-01"), "this time has passed"),
        (("snooze", ALERT.id, "--until", "soon"), "not a time"),
        (("mute",), "a mute is of one thing"),
        (("mute", "--type", "litigations"), "did you mean litigation"),
        (("mute", "--type", "litigation", "--target", "market"), "a mute is of one thing"),
        (("false-alarm", ALERT.id, "--reason", "mood"), "reason"),
        (("correct", ALERT.id), "correct needs `level` or `events`"),
        (("comment", ALERT.id, " "), "comment needs `comment`"),
    ],
)
def test_what_cannot_be_decided_is_refused(run: Run, words: tuple[str, ...], message: str) -> None:
    result = run("alerts", *words, *(("--by", "ada") if words != ("show",) else ()))
    assert result.exit_code != 0
    assert isinstance(result.exception, SettingsError)
    assert message in str(result.exception)


def test_a_false_alarm_becomes_a_label_that_training_reads(run: Run, tmp_path: Path) -> None:
    """A reason says the level. A correction of the same stories afterwards wins."""
    file = tmp_path / "labels.jsonl"
    assert run("alerts", "false-alarm", ALERT.id, "--reason", "not_adverse", "--by", "ada").exit_code == 0
    assert f"{len(ALERT.evidence)} rows" in run("label", "export", str(file)).output
    examples = read_own_labels(file)
    assert [example.text for example in examples] == [story.text for story in ALERT.evidence]
    (target,) = examples[0].targets
    assert (target.level, target.events) == ("neutral", ())
    assert run("alerts", "correct", ALERT.id, "--level", "mild", "--by", "ada").exit_code == 0
    assert "this file exists" in str(run("label", "export", str(file)).exception)
    run("label", "export", str(file), "--force")
    (target,) = read_own_labels(file)[0].targets
    assert (target.level, target.events) == ("mild", ("litigation",))


def test_a_false_alarm_that_states_no_label_is_counted(run: Run) -> None:
    run("alerts", "false-alarm", ALERT.id, "--reason", "duplicate", "--by", "ada")
    result = run("label", "export")
    assert "0 rows, 1 decisions state no label" in result.output
