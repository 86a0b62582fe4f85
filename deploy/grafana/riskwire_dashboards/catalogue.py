"""The list of dashboards, and how they are written."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from riskwire_dashboards.alerts import alerts
from riskwire_dashboards.company import company
from riskwire_dashboards.feeds import feeds
from riskwire_dashboards.market_mood import market_mood
from riskwire_dashboards.model import model
from riskwire_dashboards.pipeline import pipeline

FOLDER = Path(__file__).parents[1] / "dashboards"
"""Where the dashboards are kept as JSON, for Grafana to provision."""


def dashboards() -> dict[str, Dashboard]:
    """Returns every dashboard, by the name of its file in `FOLDER`."""
    builders = {
        "market-mood.json": market_mood(),
        "company.json": company(),
        "alerts.json": alerts(),
        "pipeline.json": pipeline(),
        "feeds.json": feeds(),
        "model.json": model(),
    }
    return {name: builder.build() for name, builder in builders.items()}


def encoded(dashboard: Dashboard) -> str:
    """Returns a dashboard as JSON, with sorted keys."""
    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard) + "\n"
