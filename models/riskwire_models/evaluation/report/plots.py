"""Plots of the report, drawn by matplotlib as SVG that stands inside the page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from riskwire_models.data.labels import LEVELS
from riskwire_models.evaluation.report.curves import ReliabilityBin, level_readings, operating_curve, reliability_bins
from riskwire_models.evaluation.report.findings import BundleEvaluation, RiskFindings
from riskwire_models.evaluation.report.html import Markup
from riskwire_models.evaluation.risk_readings import RiskReadings

_MATERIAL = LEVELS.index("material")
#: Settings under which the same figures give the same bytes, and text stays text.
_SETTINGS = {"svg.hashsalt": "riskwire", "svg.fonttype": "none", "font.size": 9.0}
#: Entries of the SVG's metadata that would name the time and outside addresses.
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_NAMESPACE = re.compile(r'\s+xmlns(?::\w+)?="[^"]*"')
_IDENTIFIER = re.compile(r'(\bid="|url\(#|href="#)')


def draw_plots(evaluation: BundleEvaluation) -> dict[str, Markup]:
    """Returns the plots of an evaluation by name: ``precision_recall`` and ``reliability_HEAD``."""
    plots = {
        f"reliability_{readings.head}": reliability_plot(readings.head, reliability_bins(readings))
        for readings in evaluation.labels
    }
    if evaluation.risk is not None and len(evaluation.risk.readings.given.truth):
        levels = level_readings(evaluation.risk.readings.given)
        plots["reliability_level"] = reliability_plot("level", reliability_bins(levels))
        plots["precision_recall"] = precision_recall_plot(evaluation.risk)
    return plots


def reliability_plot(name: str, bins: Sequence[ReliabilityBin]) -> Markup:
    """Returns a reliability diagram: the share of right answers against the mean probability, and the rows of each bin.

    Args:
        name: of the head; makes the identifiers of the drawing unique in the page.
    """
    drawing = Figure(figsize=(4.6, 4.2), layout="constrained")
    shares, counts = drawing.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _prepare(shares, "", "share that is right")
    shares.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    shares.plot(
        [bucket.confidence for bucket in bins], [bucket.accuracy for bucket in bins], marker="o", color="#0b5cad"
    )
    counts.bar(
        [bucket.low for bucket in bins],
        [bucket.rows for bucket in bins],
        width=0.1,
        align="edge",
        color="#9cc2e5",
        edgecolor="w",
    )
    counts.set_xlabel("probability of the most probable label")
    counts.set_ylabel("rows")
    return _svg(drawing, f"reliability-{name}")


def precision_recall_plot(risk: RiskFindings) -> Markup:
    """Returns precision against recall of material mentions, with spans given and end to end.

    The point is at the threshold of the bundle: recall of material and precision of adverse with the spans given.
    """
    drawing = Figure(figsize=(5.6, 4.4), layout="constrained")
    axes = drawing.subplots()
    _prepare(axes, "recall of material", "precision")
    for readings, name, line in (
        (risk.readings.given, "spans given", "-"),
        (risk.readings.end_to_end, "end to end", ":"),
    ):
        _draw_curves(axes, readings, name, line)
    axes.plot(
        [risk.spans_given["material_recall"].value],
        [risk.spans_given["adverse_precision"].value],
        "o",
        color="#b3261e",
        label=f"threshold {risk.adverse_threshold:g} of adverse, spans given",
    )
    axes.legend(loc="lower left", fontsize=8)
    return _svg(drawing, "precision-recall")


def _draw_curves(axes: Axes, readings: RiskReadings, name: str, line: str) -> None:
    """Draws the curve of material by its own probability, and that of the threshold of adverse."""
    material = readings.truth == _MATERIAL
    if not material.any():
        return
    curve = operating_curve(material, material, readings.levels[:, _MATERIAL])
    label = f"material, {name}: average precision {curve.average_precision:.3f}"
    axes.plot(curve.recall, curve.precision, line, color="#0b5cad", label=label)
    adverse = operating_curve(material, readings.true_adverse, readings.adverse)
    axes.plot(adverse.recall, adverse.precision, line, color="#b3261e", label=f"precision of adverse, {name}")


def _prepare(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x_label, ylabel=y_label)
    axes.grid(color="0.9", linewidth=0.6)


def _svg(drawing: Figure, name: str) -> Markup:
    """Returns a drawing as an SVG element without addresses, whose identifiers begin with a name."""
    FigureCanvasAgg(drawing)
    buffer = io.StringIO()
    with mpl.rc_context(_SETTINGS):
        drawing.savefig(buffer, format="svg", metadata=_NO_METADATA)
    text = buffer.getvalue()
    element = _NAMESPACE.sub("", text[text.index("<svg") :])
    return Markup(_IDENTIFIER.sub(rf"\g<1>{name}-", element).strip())
