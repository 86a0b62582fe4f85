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
