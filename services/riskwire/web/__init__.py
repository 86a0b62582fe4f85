"""The API and the page."""

from riskwire.web.app import create_app, create_probes
from riskwire.web.decisions import decisions_to
from riskwire.web.server import bind, serve
from riskwire.web.services import AppServices, BusState, Readiness, StageState
from riskwire.web.status import Status, StatusBoard

__all__ = [
    "AppServices",
    "BusState",
    "Readiness",
    "StageState",
    "Status",
    "StatusBoard",
    "bind",
    "create_app",
    "create_probes",
    "decisions_to",
    "serve",
]
