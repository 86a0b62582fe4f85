"""Reading the settings: which source has the last word, secrets from files, and what a wrong value is told as."""

from __future__ import annotations

import json
import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_origin

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource
from pydantic_settings import SettingsError as PydanticSettingsError

from riskwire.errors import SettingsError
from riskwire.settings.tree import ENV_PREFIX, Settings

DEFAULT_FILE = Path("riskwire.yaml")


def load_settings(file: Path | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    """Read the settings: command line over environment over file over defaults.

    Args:
        file: a YAML file that must exist; by default `riskwire.yaml` in the working directory if it is there.
        overrides: nested values from the command line.

    Raises:
        SettingsError: naming the key, the value, what is allowed and where the value came from.
    """
    _refuse_unknown_variables()
    path = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    tree = _read_yaml(path) if path else {}

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return named["init_settings"], named["env_settings"], InitSettingsSource(settings_cls, init_kwargs=tree)

    try:
        return _with_secrets(Layered(**(overrides or {})))
    except ValidationError as error:
        raise _explained(error, overrides or {}, tree, path) from None
    except PydanticSettingsError:
        raise _not_json() from None


def _refuse_unknown_variables() -> None:
    """A variable for a section that there is not is a mistake, as it would be in the file."""
    for variable in sorted(os.environ):
        section, nested, _ = variable.upper().removeprefix(ENV_PREFIX).partition("__")
        if variable.upper().startswith(ENV_PREFIX) and nested and section.lower() not in Settings.model_fields:
            raise SettingsError(
                f"there is no such setting; `riskwire config show` lists them ({_nearest([section.lower()])})",
                where=f"environment {variable}",
            )


def _not_json() -> SettingsError:
    """Which environment value should be JSON and is not."""
    for variable, value in sorted(os.environ.items()):
        section, _, key = variable.upper().removeprefix(ENV_PREFIX).partition("__")
        field = Settings.model_fields.get(section.lower())
        if not variable.upper().startswith(ENV_PREFIX) or field is None or not isinstance(field.annotation, type):
            continue
        if not key and issubclass(field.annotation, BaseModel) and not _is_json(value):
            return SettingsError(
                f"{section.lower()}: a section, not a setting",
                where=f"environment {variable}",
                do=f"Set what is in it: {ENV_PREFIX}{section}__{next(iter(field.annotation.model_fields)).upper()}",
            )
        inner = getattr(field.annotation, "model_fields", {}).get(key.lower())
        if inner is None or get_origin(inner.annotation) is None:
            continue
        if not _is_json(value):
            return SettingsError(
                f"{section.lower()}.{key.lower()}: this value must be JSON",
                value="***" if "secret" in str(inner.annotation).lower() else value,
                where=f"environment {variable}",
                do="""Write for example '["127.0.0.1"]'.""",
            )
    return SettingsError("a value in the environment must be JSON and is not", where="environment")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: also a date that there is not
        raise SettingsError("the settings file cannot be read", where=str(path)) from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError("the settings file must be a mapping of sections", value=tree, where=str(path))
    return {str(key): value for key, value in tree.items()}


def _explained(
    error: ValidationError, overrides: dict[str, Any], tree: dict[str, Any], path: Path | None
) -> SettingsError:
    first, *others = error.errors(include_url=False)
    location = [str(part) for part in first["loc"]]
    variable = ENV_PREFIX + "__".join(location).upper()
    if _holds(overrides, location):
        where = "command line"
    elif any(name.upper() == variable for name in os.environ) or not _holds(tree, location):
        where = f"environment {variable}"
    else:
        where = str(path)
    message = first["msg"]
    if first["type"] == "extra_forbidden":
        message = f"there is no such setting; `riskwire config show` lists them ({_nearest(location)})"
    more = f" (and {len(others)} more)" if others else ""
    # A receiver's URL holds its secret; one given as text where a list is wanted must not be shown either.
    secret = any(word in part for part in location for word in ("secret", "token", "password", "webhook", "apprise"))
    value = "***" if secret else first.get("input")
    return SettingsError(f"{'.'.join(location)}: {message}{more}", value=value, where=where)


def _holds(tree: object, location: list[str]) -> bool:
    for part in location:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True


def _nearest(location: list[str]) -> str:
    section: type[BaseModel] = Settings
    for part in location[:-1]:
        annotation = section.model_fields[part].annotation if part in section.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        section = annotation
    names = list(section.model_fields)
    close = get_close_matches(location[-1], names, n=1)
    return f"did you mean {close[0]}?" if close else "allowed: " + ", ".join(names)


def _with_secrets(settings: Settings) -> Settings:
    """Fill each secret whose `…_file` is set from that file."""
    web, notify, kafka = settings.web, settings.notify, settings.kafka
    if kafka.password_file is not None:
        kafka = kafka.model_copy(update={"password": _read_secret("kafka.password_file", kafka.password_file)})
    if web.token_file is not None:
        web = web.model_copy(update={"token": _read_secret("web.token_file", web.token_file)})
    if notify.webhook_secret_file is not None:
        secret = _read_secret("notify.webhook_secret_file", notify.webhook_secret_file)
        notify = notify.model_copy(update={"webhook_secret": secret})
    return settings.model_copy(update={"web": web, "notify": notify, "kafka": kafka})


def _read_secret(key: str, path: Path) -> SecretStr:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{key}: the secret cannot be read", where=str(path)) from error
    if not secret:
        raise SettingsError(f"{key}: the file is empty", where=str(path))
    return SecretStr(secret)
