"""A wrong value names the key, the value, what is allowed, and where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from riskwire.errors import SettingsError
from riskwire.settings import Settings, described, load_settings


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("web: {port: 1, host: localhost, max_body: 5000}\nbus: {batch: 7}\n")
    monkeypatch.setenv("RISKWIRE_WEB__PORT", "2")
    monkeypatch.setenv("RISKWIRE_WEB__MAX_BODY", "6000")
    settings = load_settings(file, {"web": {"port": 3}})
    web = settings.web
    assert (web.port, web.max_body, web.host, settings.bus.batch) == (3, 6000, "localhost", 7)


def test_riskwire_yaml_in_the_working_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "riskwire.yaml").write_text("web: {port: 4711}\n")
    assert load_settings().web.port == 4711


def test_lists_come_as_json_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS", '["127.0.0.1"]')
    assert load_settings().ingest.allow_private_hosts == ("127.0.0.1",)


def test_a_wrong_value_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKWIRE_WEB__PORT", "many")
    with pytest.raises(SettingsError, match=r"environment RISKWIRE_WEB__PORT: web\.port: .*integer.*'many'"):
        load_settings()


def test_a_wrong_value_in_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("inference: {device: tpu}\n")
    with pytest.raises(SettingsError, match=r"mine\.yaml: inference\.device: .*'cpu' or 'cuda'.*'tpu'"):
        load_settings(file)


def test_a_wrong_value_on_the_command_line_is_named() -> None:
    with pytest.raises(SettingsError, match=r"command line: web\.port: .*70000"):
        load_settings(None, {"web": {"port": 70_000}})


def test_an_unknown_setting_is_a_mistake_and_the_nearest_is_offered(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("alerting: {min_storys: 2}\n")
    with pytest.raises(SettingsError, match="did you mean min_stories"):
        load_settings(file)


def test_a_value_that_should_be_json_and_is_not_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS", "127.0.0.1")
    told = r"RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS: ingest\.allow_private_hosts: .*JSON.*'127\.0\.0\.1'"
    with pytest.raises(SettingsError, match=told):
        load_settings()


@pytest.mark.parametrize("text", ["web: [1, 2", "- a list", "\x00"])
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"mine\.yaml"):
        load_settings(file)


def test_a_settings_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.yaml"):
        load_settings(tmp_path / "gone.yaml")


def test_secrets_come_from_files_and_are_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("s3cr3t-t0ken\n")
    monkeypatch.setenv("RISKWIRE_WEB__TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("RISKWIRE_NOTIFY__WEBHOOK_SECRET", "s3cr3t-hmac")
    monkeypatch.setenv("RISKWIRE_NOTIFY__APPRISE", '["slack://s3cr3t"]')
    settings = load_settings()
    assert settings.web.token is not None
    assert settings.web.token.get_secret_value() == "s3cr3t-t0ken"
    assert "s3cr3t" not in repr(settings)
    assert "s3cr3t" not in str(described(settings))


def test_a_secret_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKWIRE_WEB__TOKEN_FILE", "nowhere")
    with pytest.raises(SettingsError, match=r"nowhere: web\.token_file"):
        load_settings()


def test_a_wrong_secret_is_not_repeated_in_the_error() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {"web": {"token": {"s3cr3t": 1}}})
    assert "s3cr3t" not in str(caught.value)


def test_every_setting_says_what_it_is_for() -> None:
    def sections(section: type[BaseModel]) -> list[str]:
        found = []
        for name, field in section.model_fields.items():
            if not field.description:
                found.append(f"{section.__name__}.{name}")
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                found += sections(field.annotation)
        return found

    assert sections(Settings) == []


def test_a_password_in_an_address_is_never_shown() -> None:
    settings = load_settings(None, {"store": {"url": "postgresql://user:hunter2@host/db"}})
    shown = str(described(settings))
    assert "hunter2" not in shown
    assert "://***@host/db" in shown
