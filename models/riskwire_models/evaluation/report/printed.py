"""The risk figures as tables of a terminal."""

from __future__ import annotations

from rich.table import Table

from riskwire_models.evaluation.report.content import risk_rows, summary_rows
from riskwire_models.evaluation.report.findings import RiskFindings


def risk_tables(risk: RiskFindings) -> tuple[Table, Table]:
    """Returns the table of the risk figures, and that of robustness, pairs, cases and fairness."""
    figures = Table("figure", "spans given", "95 %", "end to end", "95 %", title="risk, held out")
    for title, with_spans, spans_interval, end_to_end, end_interval in risk_rows(risk):
        figures.add_row(title, f"{with_spans:.3f}", spans_interval, f"{end_to_end:.3f}", end_interval)
    summary = Table("measured on", "n", "figure", "value", title="robustness, pairs and fairness")
    for name, count, figure, value in summary_rows(risk):
        summary.add_row(name, str(count), figure, f"{value:.3f}")
    return figures, summary
