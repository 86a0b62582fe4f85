"""Fills the template of the report. Every text of the news is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from riskwire.backtest.report.drawings import Drawing
from riskwire.backtest.results import BacktestResults

MAX_SHOWN = 5_000
"""Notifications on the page, the newest left out; `alerts.jsonl` has all."""
MAX_EVIDENCE = 3
"""Stories shown of a notification."""


def render_page(results: BacktestResults, drawings: Sequence[Drawing]) -> str:
    """Returns the report as one HTML page that needs no other file."""
    environment = Environment(
        loader=PackageLoader("riskwire.backtest", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = _share
    return environment.get_template("report.html.j2").render(
        results=results,
        drawings=drawings,
        tellings=results.matches.tellings if results.matches else (),
        on_list=results.matches.on_list if results.matches else (),
        max_shown=MAX_SHOWN,
        max_evidence=MAX_EVIDENCE,
    )


def _share(part: int, whole: int) -> str:
    """Returns a share with two decimals; a dash where there is nothing to divide by."""
    return f"{part / whole:.2f}" if whole else "–"
