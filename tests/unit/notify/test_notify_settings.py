"""Settings that contain secrets never show them, not even in error messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskwire.errors import SettingsError
from riskwire.settings import describe_settings, load_settings


@pytest.mark.parametrize("key", ["webhooks", "apprise"])
@pytest.mark.parametrize("value", ["slack://s3cret", "[{a: s3cret}]", "[[s3cret]]"])
def test_an_invalid_receiver_in_the_settings_file_is_named_but_not_shown(tmp_path: Path, key: str, value: str) -> None:
    file = tmp_path / "riskwire.yaml"
    file.write_text(f"notify:\n  {key}: {value}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert f"notify.{key}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("key", ["WEBHOOKS", "APPRISE"])
def test_an_invalid_receiver_in_the_environment_is_not_shown(
    key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"RISKWIRE_NOTIFY__{key}", "slack://s3cret")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "s3cret" not in str(caught.value)


def test_receivers_and_keys_are_masked_when_settings_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "riskwire.yaml"
    file.write_text(
        "notify:\n  webhooks: ['https://a.example/s3cret']\n  apprise: ['json://s3cret']\n  webhook_secret: s3cret\n"
    )
    assert "s3cret" not in str(describe_settings(load_settings(file)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("receivers: {desk: {aprise: 'json://s3cret'}}", r"notify\.receivers\.desk\.aprise: .*did you mean apprise\?"),
        ("receivers: {desk: 'json://s3cret'}", r"notify\.receivers\.desk: a section.*allowed: webhook, apprise"),
        ("receivers: {Desk: {apprise: 'json://s3cret'}}", r"notify\.receivers\.Desk: .*begin with a letter"),
        ("routes: [{to: [desk], tiers: [pages]}]", r"notify\.routes\.0\.tiers\.0: .*'notice' or 'page'.*'pages'"),
        ("routes: [{to: [desk], types: [bankrupt]}]", r"routes\.0\.types\.0: .*did you mean bankruptcy\?"),
        ("routes: [{to: [desk]}, {tiers: [page]}]", r"notify\.routes\.1\.to: this must be given"),
        ("routes: [{to: []}]", r"notify\.routes\.0\.to: .*at least 1 item"),
    ],
)
def test_a_wrong_receiver_or_route_is_named_with_its_file(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "riskwire.yaml"
    file.write_text(f"notify:\n  {text}\n")
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "s3cret" not in str(caught.value)


def test_a_named_receiver_can_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RISKWIRE_NOTIFY__RECEIVERS__DESK__APPRISE", "json://s3cret")
    settings = load_settings()
    receiver = settings.notify.receivers["desk"].apprise
    assert receiver is not None
    assert receiver.get_secret_value() == "json://s3cret"
    assert "s3cret" not in str(describe_settings(settings))


def test_receivers_in_the_environment_that_are_not_json_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RISKWIRE_NOTIFY__RECEIVERS", "{desk: json://s3cret}")
    with pytest.raises(SettingsError, match="must be JSON") as caught:
        load_settings()
    assert "s3cret" not in str(caught.value)
