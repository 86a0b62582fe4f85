"""The facts of all dashboards, by file and by the title of the panel."""

from __future__ import annotations

from dashboard_facts.alerting import ALERTS
from dashboard_facts.fact import PanelFact
from dashboard_facts.health import FEEDS, PIPELINE
from dashboard_facts.model import MODEL
from dashboard_facts.news import COMPANY, MARKET_MOOD

FACTS: dict[str, dict[str, PanelFact]] = {
    "market-mood.json": MARKET_MOOD,
    "company.json": COMPANY,
    "alerts.json": ALERTS,
    "pipeline.json": PIPELINE,
    "feeds.json": FEEDS,
    "model.json": MODEL,
}
