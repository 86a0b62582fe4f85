"""A setting that is no longer needed is accepted with one warning that says why, wherever it is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli import environment, riskwire

from riskwire.errors import SettingsError
from riskwire.settings import Retired, Settings, described, load_settings
from riskwire.settings.retired import RETIRED

OLD = "store.history_wait_s"
VARIABLE = "RISKWIRE_STORE__HISTORY_WAIT_S"


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A settings file of an earlier riskwire."""
    file = tmp_path / "old.yaml"
    file.write_text("store: {history_wait_s: 30, history: 7}\n")
    return file


def loaded(file: Path | None = None, overrides: dict[str, object] | None = None) -> tuple[Settings, list[Retired]]:
    """The settings, and what was told of retired ones."""
    told: list[Retired] = []
    return load_settings(file, overrides, told.append), told


def test_what_is_retired_is_no_setting_any_more() -> None:
    assert not RETIRED.keys() & {key for key, _, _ in described(Settings())}


def test_in_the_file_it_is_told_and_what_stands_beside_it_holds(file: Path) -> None:
    settings, told = loaded(file)
    assert told == [Retired(OLD, (str(file),), RETIRED[OLD])]
    assert settings.store.history == 7


@pytest.mark.parametrize("variable", [VARIABLE, VARIABLE.lower()])
@pytest.mark.parametrize("value", ["30", "not a number"])
def test_in_the_environment_it_is_told_and_what_stands_beside_it_holds(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("RISKWIRE_STORE__HISTORY", "7")
    settings, told = loaded()
    assert [one.where for one in told] == [(f"environment {VARIABLE}",)]
    assert settings.store.history == 7


def test_in_a_section_given_as_json_it_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKWIRE_STORE", '{"history_wait_s": 30, "history": 7}')
    settings, told = loaded()
    assert [one.where for one in told] == [("environment RISKWIRE_STORE",)]
    assert settings.store.history == 7


def test_laid_over_the_others_it_is_told_and_what_was_given_stays_as_it_was() -> None:
    given = {"store": {"history_wait_s": 30, "history": 7}}
    settings, told = loaded(None, given)
    assert [one.where for one in told] == [("command line",)]
    assert settings.store.history == 7
    assert given == {"store": {"history_wait_s": 30, "history": 7}}


def test_in_several_places_it_is_told_once_with_all_of_them(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "30")
    _, told = loaded(file, {"store": {"history_wait_s": 1}})
    assert [one.where for one in told] == [("command line", str(file), f"environment {VARIABLE}")]


def test_the_order_of_the_sources_is_the_same_beside_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "30")
    monkeypatch.setenv("RISKWIRE_STORE__HISTORY", "8")
    assert loaded(file)[0].store.history == 8
    assert loaded(file, {"store": {"history": 9}})[0].store.history == 9


@pytest.mark.parametrize(
    "text", ["store: 5", "store: [history_wait_s]", "history_wait_s: 5", "web: {history_wait_s: 5}"]
)
def test_elsewhere_that_name_is_a_mistake_as_it_always_was(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"mine\.yaml"):
        load_settings(file)


def test_whoever_does_not_ask_is_warned_nevertheless(file: Path) -> None:
    with pytest.warns(UserWarning, match=r"old\.yaml: store\.history_wait_s is no longer needed: .*history waits"):
        load_settings(file)


@pytest.mark.parametrize("command", ["show", "check"])
def test_config_show_and_check_go_on_with_one_warning(file: Path, tmp_path: Path, command: str) -> None:
    # The port that `check` tries may be in use on this machine.
    env = environment(RISKWIRE_LOG__FORMAT="json", RISKWIRE_WEB__PORT="0", RISKWIRE_STORE__HISTORY_WAIT_S="5")
    done = riskwire("config", command, "--config", file, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (warning,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (warning["level"], warning["event"]) == ("warning", "a setting is no longer needed")
    assert (warning["setting"], warning["why"]) == (OLD, RETIRED[OLD])
    assert warning["where"] == f"{file}, environment {VARIABLE}"
    assert "history_wait_s" not in done.stdout
