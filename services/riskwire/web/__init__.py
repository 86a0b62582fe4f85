"""The web server: API, page and probes."""

from riskwire.web.app import create_app, create_open_probes, create_probes
from riskwire.web.listening.address import bind, bind_probes
from riskwire.web.listening.server import serve, serve_probes
from riskwire.web.services import AppServices, BusState, Readiness, SilenceRow, StageState
from riskwire.web.status import Status, StatusBoard

__all__ = [
    "AppServices",
    "BusState",
    "Readiness",
    "SilenceRow",
    "StageState",
    "Status",
    "StatusBoard",
    "bind",
    "bind_probes",
    "create_app",
    "create_open_probes",
    "create_probes",
    "serve",
    "serve_probes",
]
