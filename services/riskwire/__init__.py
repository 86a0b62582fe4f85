"""riskwire: a streaming monitor of financial news. The rooms are listed in `services/README.md`."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("riskwire")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
