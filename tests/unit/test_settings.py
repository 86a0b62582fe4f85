"""Loading the settings: sources, secrets, and errors that name key, value and source."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import pytest
from pydantic import BaseModel

from riskwire.errors import SettingsError
from riskwire.settings import Settings, describe_settings, load_settings, load_usable_settings


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_command_line_overrides_the_environment_and_the_environment_overrides_the_file(
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


def test_the_environment_gives_a_list_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS", '["127.0.0.1"]')
    assert load_settings().ingest.allow_private_hosts == ("127.0.0.1",)


def test_the_error_names_the_variable_with_a_wrong_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKWIRE_WEB__PORT", "many")
    with pytest.raises(SettingsError, match=r"environment RISKWIRE_WEB__PORT: web\.port: .*integer.*'many'"):
        load_settings()


def test_the_error_names_the_file_with_a_wrong_value(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("inference: {device: tpu}\n")
    with pytest.raises(SettingsError, match=r"mine\.yaml: inference\.device: .*'cpu' or 'cuda'.*'tpu'"):
        load_settings(file)


def test_the_error_names_the_command_line_as_source_of_a_wrong_value() -> None:
    with pytest.raises(SettingsError, match=r"command line: web\.port: .*70000"):
        load_settings(None, {"web": {"port": 70_000}})


def test_an_unknown_setting_is_refused_and_the_error_suggests_a_similar_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("alerting: {min_storys: 2}\n")
    with pytest.raises(SettingsError, match="did you mean min_stories"):
        load_settings(file)


def test_the_error_names_the_variable_whose_value_is_not_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS", "127.0.0.1")
    message = r"RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS: ingest\.allow_private_hosts: .*JSON.*'127\.0\.0\.1'"
    with pytest.raises(SettingsError, match=message):
        load_settings()


@pytest.mark.parametrize(
    "text", ["web: [1, 2", "- a list", "\x00"], ids=["unclosed list", "list of texts", "null character"]
)
def test_the_error_names_a_settings_file_that_cannot_be_parsed(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"mine\.yaml"):
        load_settings(file)


def test_a_named_settings_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.yaml"):
        load_settings(tmp_path / "gone.yaml")


def test_secrets_are_read_from_files_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("s3cr3t-t0ken-of-a-test\n")
    monkeypatch.setenv("RISKWIRE_WEB__TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("RISKWIRE_NOTIFY__WEBHOOK_SECRET", "s3cr3t-hmac")
    monkeypatch.setenv("RISKWIRE_NOTIFY__APPRISE", '["slack://s3cr3t"]')
    settings = load_settings()
    assert settings.web.token is not None
    assert settings.web.token.get_secret_value() == "s3cr3t-t0ken-of-a-test"
    assert "s3cr3t" not in repr(settings)
    assert "s3cr3t" not in str(describe_settings(settings))


def test_the_error_names_a_missing_secret_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKWIRE_WEB__TOKEN_FILE", "nowhere")
    with pytest.raises(SettingsError, match=r"nowhere: web\.token_file"):
        load_settings()


def test_the_error_does_not_quote_a_wrong_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {"web": {"token": {"s3cr3t": 1}}})
    assert "s3cr3t" not in str(caught.value)


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kafka:\n  password: @hunter2\n", "line 2, column 13: found character '@' that cannot start any token"),
        ("kafka:\n  password: hunter2: x\n", "line 2, column 20: mapping values are not allowed here"),
        ("kafka: {password: *hunter2}\n", "line 1, column 19: found undefined alias"),
        ("kafka: {password: !hunter2 }\n", "line 1, column 19: could not determine a constructor for the tag"),
        ("kafka: {password: !it's-hunter2 }\n", "could not determine a constructor for the tag"),
        ("kafka: {password: !!int hunter2}\n", "it contains an impossible date or number"),
        ("kafka: {password: [hunter2\n", "expected ',' or ']', but got '<stream end>'"),
        ("kafka:\n  pasword: hunter2\n", "kafka.pasword: there is no such setting.*did you mean password"),
        ("kafka: {username: me, password=hunter2}\n", "kafka.***: there is no such setting"),
        ("kafka: hunter2\n", "kafka: a section, not a setting.*password_file"),
        ("store:\n  url: [postgresql://u:hunter2@h/db]\n", "store.url: .*valid string, not a list"),
        ("store:\n  url: {postgresql://u:hunter2@h/db: 1}\n", "store.url: .*not a mapping"),
        ("store:\n  postgresql://u:hunter2@h/db: 1\n", "store.***: there is no such setting"),
        ("notify: https://hooks.slack/hunter2\n", "notify: a section, not a setting"),
        ("notify:\n  hooks: [https://hooks.slack/hunter2]\n", "notify.hooks: .*did you mean webhooks"),
        ("notify:\n  webhooks: https://hooks.slack/hunter2\n", "notify.webhooks: .*valid tuple"),
        ("notify:\n  webhooks: [{https://hooks.slack/hunter2: 1}]\n", "notify.webhooks.0: .*valid string"),
        ("- kafka\n- password: hunter2\n", "must be a mapping of sections, and is a list"),
        ("hunter2\n", "must be a mapping of sections, and is a text"),
        ("web:\n  token: hunter2\n  port: x\n", "web.port: .*got 'x'"),
        ("web:\n  port: {token: hunter2}\n", "web.port: .*not a mapping"),
        ("web:\n  port: https://me:hunter2@h/\n", "web.port: .*got 'https://***@h/'"),
        ("web:\n  port: https://me:no@hunter2@h/\n", "web.port: .*got 'https://***@h/'"),
        (f"web:\n  port: https://me:{'x' * 170}hunter2{'x' * 170}@h/\n", "got 'https://***@h/'"),
    ],
)
def test_an_error_about_the_file_explains_the_fault_and_shows_no_possible_secret(
    tmp_path: Path, text: str, message: str
) -> None:
    """The secret is `hunter2`, in each text at another wrong place.

    Args:
        text: the content of the settings file.
        message: what the error says about it; `.*` matches any text, all else is literal.
    """
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises((SettingsError, ExceptionGroup)) as caught:
        load_settings(file)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert re.search(f"mine.yaml: .*{re.escape(message).replace(re.escape('.*'), '.*')}", shown)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("KAFKA__PASWORD", "hunter2", "kafka.pasword: there is no such setting.*did you mean password"),
        ("KAFKA", '"hunter2"', "kafka: a section"),
        ("KAFKA", "hunter2", "kafka: a section"),
        ("KAFKA", '{"pasword": "hunter2"}', "kafka.pasword: there is no such setting"),
        ("ALERTING__BUDGET", "hunter2", "alerting.budget: a section"),
        ("ALERTING__BUDGET__NOTICES", "hunter2", "alerting.budget.notices: .*did you mean notice"),
        ("NOTIFY__WEBHOOKS", "https://hooks.slack/hunter2", "notify.webhooks: this value must be JSON"),
        ("WEB__HOSTS", "https://me:hunter2@h/", "web.hosts: this value must be JSON"),
    ],
)
def test_an_error_about_a_variable_explains_the_fault_and_shows_no_possible_secret(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    """The secret is `hunter2`, also in the valid URL of the store.

    Args:
        variable: the environment variable, without `RISKWIRE_`.
        message: what the error says, as a regular expression.
    """
    monkeypatch.setenv("RISKWIRE_STORE__URL", "postgresql://u:hunter2@h/db")
    monkeypatch.setenv(f"RISKWIRE_{variable}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert re.search(f"environment RISKWIRE_{variable}.*: {message}", shown)


def test_the_error_names_a_wrong_list_item_and_the_source_of_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("alerting: {windows_s: [3600, 5]}\n")
    with pytest.raises(SettingsError, match=r"mine\.yaml: alerting\.windows_s\.1: .*got 5"):
        load_settings(file)
    monkeypatch.setenv("RISKWIRE_ALERTING__WINDOWS_S", "[7]")
    with pytest.raises(SettingsError, match=r"environment RISKWIRE_ALERTING__WINDOWS_S: alerting\.windows_s\.0"):
        load_settings(file)


def test_every_setting_has_a_description() -> None:
    """Pydantic takes the descriptions from the docstrings below the fields."""

    def undescribed(section: type[BaseModel]) -> list[str]:
        """Returns the fields without a description, as `Section.field`, of a section and its sub-sections."""
        names = []
        for name, field in section.model_fields.items():
            if not field.description:
                names.append(f"{section.__name__}.{name}")
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                names += undescribed(field.annotation)
        return names

    assert undescribed(Settings) == []


def test_a_password_in_a_url_is_never_shown() -> None:
    settings = load_settings(None, {"store": {"url": "postgresql://user:hunter2@host/db"}})
    shown = str(describe_settings(settings))
    assert "hunter2" not in shown
    assert "://***@host/db" in shown


@pytest.mark.parametrize("source", ["file", "environment"])
def test_a_setting_of_0_1_that_no_longer_exists_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("store: {history_wait_s: 30}\n" if source == "file" else "")
    if source == "environment":
        monkeypatch.setenv("RISKWIRE_STORE__HISTORY_WAIT_S", "30")
    with pytest.raises(SettingsError, match=r"store\.history_wait_s: there is no such setting"):
        load_settings(file)


@pytest.mark.parametrize("name", ["Middle/Earth", "", "../etc/passwd", "Europe", "+02:00"])
def test_a_time_zone_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"time_zone: .*not a time zone.*Europe/Berlin"):
        load_settings(None, {"time_zone": name})


def test_commands_show_times_in_utc_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(load_settings().zone) == "UTC"
    monkeypatch.setenv("RISKWIRE_TIME_ZONE", "Europe/Berlin")
    assert str(load_settings().zone) == "Europe/Berlin"


def test_all_faults_are_named_at_once_each_with_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, the environment, the command line and a secret file have a fault each, and the file has two."""
    file = tmp_path / "mine.yaml"
    file.write_text("web: {port: many, token_file: nowhere}\nalerting: {windows_s: [3600, 5]}\n")
    monkeypatch.setenv("RISKWIRE_BUS__BATCH", "0")
    monkeypatch.setenv("RISKWIRE_WEP__PORT", "1")
    with pytest.raises(ExceptionGroup) as caught:
        load_settings(file, {"log": {"level": "loud"}})
    assert all(isinstance(fault, SettingsError) for fault in caught.value.exceptions)
    faults = sorted(str(fault) for fault in caught.value.exceptions)
    starts = [
        "command line: log.level: ",
        "environment RISKWIRE_BUS__BATCH: bus.batch: ",
        "environment RISKWIRE_WEP__PORT: there is no such setting",
        f"{file}: alerting.windows_s.1: ",
        f"{file}: web.port: ",
        "nowhere: web.token_file: ",
    ]
    assert [fault.startswith(start) for fault, start in zip(faults, sorted(starts), strict=True)] == [True] * 6, faults


def test_what_can_be_used_beside_the_faults_is_used(tmp_path: Path) -> None:
    """So that a check can go on to what the other settings name."""
    file = tmp_path / "mine.yaml"
    file.write_text("feeds: mine-feeds.yaml\nweb: {port: many, host: localhost}\nnosuch: 1\nkafka: 3\n")
    settings, faults = load_usable_settings(file)
    assert (settings.feeds, settings.web.host, settings.web.port) == (Path("mine-feeds.yaml"), "localhost", 8080)
    assert len(faults) == 3
