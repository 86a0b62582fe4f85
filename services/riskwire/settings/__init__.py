"""The settings of riskwire: the tree with its defaults, and loading it from file, environment and command line.

In the environment, keys nest with two underscores (`RISKWIRE_WEB__PORT=8080`). A secret can be given in a file
(`token_file`). It is held as `SecretStr` and never shown. `tree.py` documents each setting where it defines it;
`riskwire config show` prints that text.
"""

from riskwire.settings.loading import DEFAULT_FILE, load_settings, load_usable_settings
from riskwire.settings.notify import NotifySettings, ReceiverSettings, RouteSettings
from riskwire.settings.section import Section
from riskwire.settings.tree import (
    ENV_PREFIX,
    AlertingSettings,
    Budget,
    BusSettings,
    InferenceSettings,
    IngestSettings,
    KafkaSettings,
    LogSettings,
    Settings,
    StoreSettings,
    describe_settings,
)
from riskwire.settings.web import Role, TokenSettings, WebSettings

__all__ = [
    "DEFAULT_FILE",
    "ENV_PREFIX",
    "AlertingSettings",
    "Budget",
    "BusSettings",
    "InferenceSettings",
    "IngestSettings",
    "KafkaSettings",
    "LogSettings",
    "NotifySettings",
    "ReceiverSettings",
    "Role",
    "RouteSettings",
    "Section",
    "Settings",
    "StoreSettings",
    "TokenSettings",
    "WebSettings",
    "describe_settings",
    "load_settings",
    "load_usable_settings",
]
