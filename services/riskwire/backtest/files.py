"""The files of a back-test: alerts, trends and near misses as JSON lines, figures, the page and its drawings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from riskwire.backtest.alert_run import AlertRun
from riskwire.backtest.report import Drawing, render_page
from riskwire.backtest.results import BacktestResults
from riskwire.errors import RiskwireError
from riskwire.records import Record


def write_files(folder: Path, run: AlertRun, results: BacktestResults, drawings: Sequence[Drawing]) -> None:
    """Writes everything into a folder, which is created.

    Raises:
        RiskwireError: a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_lines(folder / "alerts.jsonl", run.alerts)
        _write_lines(folder / "trends.jsonl", run.trends)
        _write_lines(folder / "near-misses.jsonl", run.near_misses)
        (folder / "figures.json").write_bytes(orjson.dumps(_figures(results), option=orjson.OPT_INDENT_2) + b"\n")
        for drawing in drawings:
            (folder / f"{drawing.name}.png").write_bytes(drawing.png)
        (folder / "report.html").write_text(render_page(results, drawings), encoding="utf-8")
    except OSError as error:
        raise RiskwireError("the results of the back-test cannot be written", where=str(folder)) from error


def _write_lines(path: Path, records: Iterable[Record]) -> None:
    with path.open("wb") as file:
        for record in records:
            file.write(record.to_bytes() + b"\n")


def _figures(results: BacktestResults) -> dict[str, object]:
    """Returns the figures of the results as JSON values; those of events only with a list of events."""
    figures: dict[str, object] = {
        "archive": results.archive,
        "bundle": results.bundle,
        "articles": results.articles,
        "signals": results.signals,
        "months": round(results.months, 2),
        "targets": results.targets,
        "notifications": len(results.notifications),
        "rates": [rate.model_dump() for rate in results.rates],
    }
    if results.figures is not None:
        figures["events"] = results.figures.model_dump()
        figures["missed"] = [
            {"line": event.line, "day": str(event.day), "target": event.target, "severity": event.severity}
            | {"type": event.type, "what": event.what}
            | reason.model_dump()
            for event, reason in results.missed
        ]
        figures["rivals"] = [
            {"name": rival.name, "setting": rival.setting, "events": rival.figures.model_dump()}
            for rival in results.rivals
        ]
    return figures
