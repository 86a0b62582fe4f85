"""Reading the settings: which source has the last word, secrets from files, and what a wrong value is told as."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource
from pydantic_settings import SettingsError as PydanticSettingsError

from riskwire.errors import SettingsError
from riskwire.settings.retired import Retired, gathered, without_retired
from riskwire.settings.tree import ENV_PREFIX, Settings
from riskwire.settings.yaml_file import kind_of, read_yaml

DEFAULT_FILE = Path("riskwire.yaml")


def _warn(retired: Retired) -> None:
    warnings.warn(f"{', '.join(retired.where)}: {retired.key} is no longer needed: {retired.why}", stacklevel=3)


def load_settings(
    file: Path | None = None, overrides: dict[str, Any] | None = None, told: Callable[[Retired], object] = _warn
) -> Settings:
    """Read the settings: command line over environment over file over defaults.

    Args:
        file: a YAML file that must exist; by default `riskwire.yaml` in the working directory if it is there.
        overrides: nested values from the command line.
        told: is told of each setting that is given and no longer needed (`retired.RETIRED`), once.

    Raises:
        SettingsError: naming the key, the value, what is allowed and where the value came from.
    """
    _refuse_unknown_variables()
    path = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    given, retired_here = without_retired(overrides or {})
    tree, retired_there = without_retired(_read_tree(path) if path else {})
    found = [(key, "command line") for key in retired_here] + [(key, str(path)) for key in retired_there]

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            environment, retired = without_retired(named["env_settings"]())
            found.extend((key, f"environment {_variable_of(key.split('.'))}") for key in retired)
            below = (InitSettingsSource(settings_cls, init_kwargs=layer) for layer in (environment, tree))
            return named["init_settings"], *below

    try:
        settings = _with_secrets(Layered(**given))
    except ValidationError as error:
        raise _explained(error, given, tree, path) from None
    except PydanticSettingsError:
        raise _not_json() from None
    for retired in gathered(found):
        told(retired)
    return settings


def _variable(location: list[str]) -> str:
    return ENV_PREFIX + "__".join(location).upper()


def _variable_of(location: list[str]) -> str:
    """The variable that gives it: its own, or that of its section."""
    given = {name.upper() for name in os.environ}
    own = _variable(location)
    return own if own in given else _variable(location[:-1])


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
        name = variable.upper()
        if not name.startswith(ENV_PREFIX) or _is_json(value):
            continue
        location = name.removeprefix(ENV_PREFIX).lower().split("__")
        section, rest = _reached(location)
        if not rest:
            return SettingsError(
                f"{'.'.join(location)}: a section, not a setting",
                where=f"environment {variable}",
                do=f"Set what is in it: {name}__{next(iter(section.model_fields)).upper()}",
            )
        annotation = _annotation(section, rest)
        if get_origin(annotation) is tuple:
            return SettingsError(
                f"{'.'.join(location)}: this value must be JSON",
                value="***" if _is_secret(annotation) else value,
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


def _read_tree(path: Path) -> dict[str, Any]:
    tree = read_yaml(path, "the settings file")
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        what = f"the settings file must be a mapping of sections, and is {kind_of(tree)}"
        raise SettingsError(what, where=str(path))
    return {str(key): value for key, value in tree.items()}


def _explained(
    error: ValidationError, overrides: dict[str, Any], tree: dict[str, Any], path: Path | None
) -> SettingsError:
    """What is wrong, and where it was given. A value is shown only where it is one, and of a setting that there is and
    that is no secret: what is misspelt or misplaced may be a password."""
    first, *others = error.errors(include_url=False)
    location = [str(part) for part in first["loc"]]
    section, rest = _reached(location)
    given = location[: len(location) - len(rest) + 1]  # without the places inside a list
    variable = _variable([_told(part) for part in given])
    if _holds(overrides, given):
        where = "command line"
    elif any(name.upper() == variable for name in os.environ) or not _holds(tree, given):
        where = f"environment {variable}"
    else:
        where = str(path)
    annotation, value = _annotation(section, rest), first.get("input")
    message, shown = first["msg"], None
    if first["type"] == "extra_forbidden":
        message = f"there is no such setting; `riskwire config show` lists them ({_nearest(location)})"
    elif annotation is not None and _is_secret(annotation):
        shown = "***"
    elif isinstance(value, dict | list | tuple):
        message += f", not {kind_of(value)}"
    elif annotation is not None:
        shown = value
    elif not rest:
        message = f"a section, not a setting; `riskwire config show` lists what is in it ({_allowed(section)})"
    more = f" (and {len(others)} more)" if others else ""
    return SettingsError(f"{'.'.join(map(_told, location))}: {message}{more}", value=shown, where=where)


def _holds(tree: object, location: list[str]) -> bool:
    for part in location:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True


def _reached(location: list[str]) -> tuple[type[BaseModel], list[str]]:
    """The innermost section on the way to a place in the tree, and what is left of the way."""
    section: type[BaseModel] = Settings
    for depth, part in enumerate(location):
        annotation = _annotation(section, [part])
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return section, location[depth:]
        section = annotation
    return section, []


def _annotation(section: type[BaseModel], rest: list[str]) -> Any:
    """The type of the setting that the rest of a way begins with; None where there is none."""
    field = section.model_fields.get(rest[0]) if rest else None
    return None if field is None else field.annotation


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def _told(part: str) -> str:
    """A key as it may be shown: one that is no word is a line that was mistaken for a key, and may hold anything."""
    return part if re.fullmatch(r"\w{1,40}", part) else "***"


def _nearest(location: list[str]) -> str:
    section, rest = _reached(location)
    close = get_close_matches(rest[0], list(section.model_fields), n=1)
    return f"did you mean {close[0]}?" if close else _allowed(section)


def _allowed(section: type[BaseModel]) -> str:
    return "allowed: " + ", ".join(section.model_fields)


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
