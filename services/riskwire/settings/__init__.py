"""One settings tree: defaults here, then `riskwire.yaml`, then the environment, then the command line.

In the environment keys nest with two underscores (`RISKWIRE_WEB__PORT=8080`). A secret may be given in a file instead
(`token_file`), is held as `SecretStr`, and is never shown. Each setting is documented where it is defined (`tree.py`);
`riskwire config show` prints this very text.
"""

from riskwire.settings.loading import DEFAULT_FILE, load_settings
from riskwire.settings.retired import Retired
from riskwire.settings.tree import (
    ENV_PREFIX,
    AlertingSettings,
    Budget,
    BusSettings,
    InferenceSettings,
    IngestSettings,
    KafkaSettings,
    LogSettings,
    NotifySettings,
    Section,
    Settings,
    StoreSettings,
    WebSettings,
    described,
)

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
    "Retired",
    "Section",
    "Settings",
    "StoreSettings",
    "WebSettings",
    "described",
    "load_settings",
]
