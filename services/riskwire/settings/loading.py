"""Loads the settings from their sources, reads secrets from files, and explains wrong values.

Sources, strongest first: command line, environment, settings file, defaults.
"""

from __future__ import annotations

import json
import os
import re
import stat
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource
from pydantic_settings import SettingsError as PydanticSettingsError

from riskwire.errors import SettingsError, raise_faults
from riskwire.settings.tree import ENV_PREFIX, Settings
from riskwire.settings.web import problems_of_tokens, token_problem
from riskwire.settings.yaml_file import describe_type, read_yaml

DEFAULT_FILE = Path("riskwire.yaml")
_MAX_SECRET = 65_536
"""Bytes of a file with a secret."""
_EXAMPLES: dict[Any, str] = {tuple: '[{"to": ["desk"]}]', dict: '{"desk": {"apprise": "slack://…"}}'}
"""A list and a mapping of sections in the environment, for messages."""


def load_settings(file: Path | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    """Returns the settings of all sources: command line, environment, file, defaults; the first that has a key wins.

    A secret whose `…_file` setting is given is read from that file.

    Args:
        file: a YAML file that must exist; by default `riskwire.yaml` in the working directory, if it exists.
        overrides: nested values from the command line.

    Raises:
        SettingsError: a value is wrong, a key is unknown, or a file cannot be read. For a wrong value, the message
            names the key, the source and what is wrong, and the value unless it may be secret.
        ExceptionGroup: of SettingsError, if several are wrong.
    """
    settings, faults = load_usable_settings(file, overrides)
    raise_faults(faults, "the settings cannot be used")
    return settings


def load_usable_settings(
    file: Path | None = None, overrides: dict[str, Any] | None = None
) -> tuple[Settings, list[SettingsError]]:
    """Returns the settings without the values that cannot be used, and an error for each of those.

    See `load_settings` for the arguments. A section without one of its values has the next source's, or the default.
    """
    faults = _unknown_variables()
    path = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    file_values: dict[str, Any] = {}
    if path:
        try:
            file_values = _read_file(path)
        except SettingsError as error:
            faults.append(error)
    try:
        environment = EnvSettingsSource(Settings)()
    except PydanticSettingsError:
        faults.append(_explain_invalid_json())
        environment = {}
    sources = _Sources(deepcopy(overrides or {}), environment, file_values, path)
    while True:
        try:
            settings = sources.settings()
        except ValidationError as error:
            reported: list[tuple[int | str, ...]] = []
            for problem in error.errors(include_url=False):
                problem["loc"] = place = tuple(part for part in problem["loc"] if part != "[key]")
                if not any(earlier[: len(place)] == place for earlier in reported):  # a list with a wrong item
                    reported.append(place)
                    faults.append(_explain(problem, sources))
            for place in reported:
                sources.drop([str(part) for part in place])
        else:
            return _with_secrets(settings, faults), faults


@dataclass(frozen=True, slots=True)
class _Sources:
    """The values of each source of the settings, strongest first."""

    overrides: dict[str, Any]
    environment: dict[str, Any]
    file_values: dict[str, Any]
    path: Path | None
    """The settings file, or None if there is none."""

    def settings(self) -> Settings:
        """Returns the settings; raises a ValidationError if a value cannot be used."""
        layers = (self.overrides, self.environment, self.file_values)

        class Layered(Settings):
            @classmethod
            def settings_customise_sources(
                cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                """Returns the sources, strongest first: command line, environment, settings file. No `.env` file."""
                return tuple(InitSettingsSource(settings_cls, values) for values in layers)

        return Layered()

    def name_of(self, setting: list[str]) -> str:
        """Returns where the value of a setting comes from, for a message."""
        variable = _variable([_safe_key(part) for part in setting])
        if _contains(self.overrides, setting):
            return "command line"
        if any(name.upper() == variable for name in os.environ) or not _contains(self.file_values, setting):
            return f"environment {variable}"
        return str(self.path)

    def drop(self, location: list[str]) -> None:
        """Removes the value at a path of keys from every source; of a list, the whole list."""
        for tree in (self.overrides, self.environment, self.file_values):
            parent: Any = tree
            for part in location:
                if not isinstance(parent, dict) or part not in parent:
                    break
                if isinstance(parent[part], dict) and part != location[-1]:
                    parent = parent[part]
                else:
                    del parent[part]
                    break


def _variable(location: list[str]) -> str:
    return ENV_PREFIX + "__".join(location).upper()


def _unknown_variables() -> list[SettingsError]:
    """Returns an error for each variable of an unknown section, such as `RISKWIRE_WEP__PORT`.

    pydantic-settings would ignore them.
    """
    errors: list[SettingsError] = []
    for variable in sorted(os.environ):
        section, nested, _ = variable.upper().removeprefix(ENV_PREFIX).partition("__")
        if variable.upper().startswith(ENV_PREFIX) and nested and section.lower() not in Settings.model_fields:
            problem = f"there is no such setting; `riskwire config show` lists them ({_suggestion([section.lower()])})"
            errors.append(SettingsError(problem, where=f"environment {variable}"))
    return errors


def _explain_invalid_json() -> SettingsError:
    """Returns an error that names the environment variable whose value should be JSON and is not.

    JSON is the value of a list setting, and of a variable that names a whole section. Does not show a secret.
    """
    for variable, value in sorted(os.environ.items()):
        name = variable.upper()
        if not name.startswith(ENV_PREFIX) or _is_json(value):
            continue
        location = name.removeprefix(ENV_PREFIX).lower().split("__")
        section, remainder = _innermost_section(location)
        if not remainder:
            return SettingsError(
                f"{'.'.join(location)}: a section, not a setting",
                where=f"environment {variable}",
                do=f"Set one of its settings: {name}__{next(iter(section.model_fields)).upper()}",
            )
        annotation = _annotation(section, remainder)
        if get_origin(annotation) in (tuple, dict):
            example = '["127.0.0.1"]' if _element_section(annotation) is None else _EXAMPLES[get_origin(annotation)]
            return SettingsError(
                f"{'.'.join(location)}: this value must be JSON",
                value="***" if _is_secret(annotation) else value,
                where=f"environment {variable}",
                do=f"Write for example '{example}'.",
            )
    return SettingsError("a value in the environment must be JSON and is not", where="environment")


def _is_json(text: str) -> bool:
    """Returns whether a text is valid JSON."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _read_file(path: Path) -> dict[str, Any]:
    """Returns the content of the settings file: a mapping of sections. Empty if the file is empty.

    Raises:
        SettingsError: the file cannot be read, or is not a mapping.
    """
    tree = read_yaml(path, "the settings file")
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(
            f"the settings file must be a mapping of sections, and is {describe_type(tree)}", where=str(path)
        )
    return {str(key): value for key, value in tree.items()}


def _explain(problem: ErrorDetails, sources: _Sources) -> SettingsError:
    """Returns an error that says what is wrong with a value, and in which source.

    It shows only the value of an existing setting that holds no secret: a misspelt or misplaced value may be a
    password.
    """
    location = [str(part) for part in problem["loc"]]
    section, remainder = _innermost_section(location)
    setting = location[: len(location) - len(remainder) + 1]  # the path of the setting, without indexes into a list
    annotation, value = _annotation(section, remainder), problem.get("input")
    message, shown = problem["msg"], None
    if problem["type"] == "extra_forbidden":
        message = f"there is no such setting; `riskwire config show` lists them ({_suggestion(location)})"
    elif problem["type"] == "missing":
        message, setting = "this must be given", setting[:-1]
    elif annotation is not None and _is_secret(annotation):
        shown = "***"
    elif isinstance(value, dict | list | tuple):
        message += f", not {describe_type(value)}"
    elif annotation is not None:
        shown = value
    elif not remainder and problem["type"] != "value_error":  # that is a wrong name in a mapping of sections
        message = f"a section, not a setting; `riskwire config show` lists its settings ({_allowed(section)})"
        if isinstance(value, (int, float)) or (isinstance(value, str) and _is_json(value)):
            names = [".".join([*map(_safe_key, location), name]) for name in section.model_fields]
            message = f"a section, not a setting; write {names[0]}: {value}" + "".join(
                f", and {name}" for name in names[1:3]
            )
    return SettingsError(
        f"{'.'.join(map(_safe_key, location))}: {message}", value=shown, where=sources.name_of(setting)
    )


def _contains(tree: object, location: list[str]) -> bool:
    """Returns whether nested mappings and lists have an entry at this path of keys and indexes."""
    for part in location:
        if isinstance(tree, list) and part.isdigit() and int(part) < len(tree):
            tree = tree[int(part)]
        elif isinstance(tree, dict) and part in tree:
            tree = tree[part]
        else:
            return False
    return True


def _innermost_section(location: list[str]) -> tuple[type[BaseModel], list[str]]:
    """Returns the innermost section on the path to a setting, and the rest of the path.

    Args:
        location: the keys from the top section down. ["kafka", "deadline_s"] gives `KafkaSettings` and
            ["deadline_s"]; ["kafka"] gives `KafkaSettings` and an empty rest. A key of a mapping of sections, or an
            index of a list of them, is part of the path: ["notify", "routes", "0", "to"] gives `RouteSettings`.
    """
    section: type[BaseModel] = Settings
    depth = 0
    while depth < len(location):
        annotation = _annotation(section, [location[depth]])
        if _is_section(annotation):
            section, depth = annotation, depth + 1
        elif (element := _element_section(annotation)) is not None and depth + 1 < len(location):
            section, depth = element, depth + 2
        else:
            break
    return section, location[depth:]


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _element_section(annotation: Any) -> type[BaseModel] | None:
    """Returns the section that a mapping or list holds several of, or None if it holds none."""
    return next((argument for argument in get_args(annotation) if _is_section(argument)), None)


def _annotation(section: type[BaseModel], path: list[str]) -> Any:
    """Returns the type of the setting at the start of a path below `section`, or None if there is no such setting."""
    field = section.model_fields.get(path[0]) if path else None
    return None if field is None else field.annotation


def _is_secret(annotation: Any) -> bool:
    """Returns whether a value of this type may contain a secret."""
    if _is_section(annotation):
        return any(_is_secret(field.annotation) for field in annotation.model_fields.values())
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def _safe_key(part: str) -> str:
    """Returns a key for display. A key that is not a single word may be a misread line with a secret: it is masked."""
    return part if re.fullmatch(r"\w{1,40}", part) else "***"


def _suggestion(location: list[str]) -> str:
    """Returns a hint for a key that does not exist: the most similar key of its section, or all keys of the section.

    Args:
        location: the path of the key, from the top section down.
    """
    section, remainder = _innermost_section(location)
    similar = get_close_matches(remainder[0], list(section.model_fields), n=1)
    return f"did you mean {similar[0]}?" if similar else _allowed(section)


def _allowed(section: type[BaseModel]) -> str:
    return "allowed: " + ", ".join(section.model_fields)


def _with_secrets(settings: Settings, faults: list[SettingsError]) -> Settings:
    """Returns settings in which each secret whose `…_file` setting is given is read from that file.

    The file has priority over a secret that is given directly. Other settings stay as they are. An error is added to
    `faults` for each file that cannot be read, or is empty.
    """
    web, notify, kafka, store = settings.web, settings.notify, settings.kafka, settings.store

    def read(key: str, file: Path | None, present: SecretStr | None) -> SecretStr | None:
        """Returns the secret of a file, or the present one without a file or if it cannot be read."""
        try:
            if file is None:
                return present
            return _read_token(key, file) if key.startswith("web.token") else _read_secret(key, file)
        except SettingsError as error:
            faults.append(error)
            return present

    password = read("kafka.password_file", kafka.password_file, kafka.password)
    store_password = read("store.password_file", store.password_file, store.password)
    token = read("web.token_file", web.token_file, web.token)
    tokens = tuple(
        named.model_copy(update={"token": read(f"web.tokens[{place}].token_file", named.token_file, named.token)})
        for place, named in enumerate(web.tokens)
    )
    faults += [SettingsError(problem) for problem in problems_of_tokens(tokens, token)]
    secret = read("notify.webhook_secret_file", notify.webhook_secret_file, notify.webhook_secret)
    return settings.model_copy(
        update={
            "web": web.model_copy(update={"token": token, "tokens": tokens}),
            "notify": notify.model_copy(update={"webhook_secret": secret}),
            "kafka": kafka.model_copy(update={"password": password}),
            "store": store.model_copy(update={"password": store_password}),
        }
    )


def _read_token(key: str, path: Path) -> SecretStr:
    """Returns the token in a file.

    Raises:
        SettingsError: see `_read_secret`; or the text is too short for a token.
    """
    token = _read_secret(key, path)
    problem = token_problem(token.get_secret_value())
    if problem is not None:
        raise SettingsError(f"{key}: {problem}", where=str(path))
    return token


def _read_secret(key: str, path: Path) -> SecretStr:
    """Returns the secret in a file, without surrounding white space.

    A container mounts secrets readable by everybody in it, so only a file that others can write is refused.

    Args:
        key: the setting that names the file, for errors.

    Raises:
        SettingsError: the file cannot be read, is empty, too large or no regular file, or every user can write it.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_SECRET:
            raise SettingsError(f"{key}: not a file of at most {_MAX_SECRET} bytes", where=str(path))
        if status.st_mode & stat.S_IWOTH:
            raise SettingsError(f"{key}: every user can write this file", where=str(path), do=f"chmod 600 {path}")
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{key}: the secret cannot be read", where=str(path)) from error
    if not secret:
        raise SettingsError(f"{key}: the file is empty", where=str(path))
    return SecretStr(secret)
