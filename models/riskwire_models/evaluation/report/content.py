"""The sections of the report: their tables, plots and remarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from riskwire_models.evaluation.report.curves import (
    ClassFigures,
    LabelReadings,
    calibration_error,
    class_figures,
    confusion,
    event_figures,
    label_estimates,
    level_readings,
    reliability_bins,
)
from riskwire_models.evaluation.report.findings import (
    WITHOUT_EVENTS,
    WITHOUT_LEVEL,
    BundleEvaluation,
    RiskFindings,
)
from riskwire_models.evaluation.report.html import Markup, figure, joined, page, paragraph, section, table
from riskwire_models.evaluation.risk_readings import Estimate
from riskwire_models.evaluation.robustness import CaseOutcome, PairOutcome
from riskwire_models.export.card import RISK_FIGURES, look_table
from riskwire_models.export.manifest import BundleManifest, LookEntry

#: Most labels of a head whose confusion is shown.
_MAX_CONFUSION = 6
#: Templates of each kind of name that are shown, widest spread first.
_SHOWN_TEMPLATES = 8
_HEAD_TITLES = {
    "sentiment": "Sentiment of the sentence",
    "target_sentiment": "Sentiment toward a mention",
    "topics": "Topics",
    "level": "Level of a mention",
}


def render_report(evaluation: BundleEvaluation, plots: Mapping[str, Markup]) -> str:
    """Returns the report as one HTML document.

    Args:
        plots: drawings by name, as `draw_plots` returns them; a missing one is left out.
    """
    manifest = evaluation.manifest
    parts = [_bundle(manifest), _scores(evaluation)]
    if evaluation.risk is None:
        parts.append(section("Risk", paragraph(WITHOUT_LEVEL)))
    else:
        parts += [
            _risk(evaluation.risk, plots),
            _events(evaluation.risk),
            _robustness(evaluation.risk),
            _pairs(evaluation.risk.pairs, evaluation.risk),
            _cases(evaluation.risk.cases, evaluation.risk.adverse_threshold),
            _fairness(evaluation.risk),
        ]
    parts.append(_heads(evaluation, plots))
    parts.append(_looks(manifest.looks))
    return page(f"Evaluation of {manifest.name} {manifest.version}", *parts)


def interval_text(estimate: Estimate) -> str:
    """Returns the 95 % interval of a figure, such as ``0.712 to 0.745``."""
    return f"{estimate.low:.3f} to {estimate.high:.3f}"


def risk_rows(risk: RiskFindings) -> list[tuple[str, float, str, float, str]]:
    """Returns (figure, spans given, interval, end to end, interval); those that a head is missing for are left out."""
    rows: list[tuple[str, float, str, float, str]] = []
    for name, title in RISK_FIGURES.items():
        if name in risk.spans_given and (name != "event_f1" or risk.events_threshold is not None):
            with_spans, end_to_end = risk.spans_given[name], risk.end_to_end[name]
            rows.append(
                (title, with_spans.value, interval_text(with_spans), end_to_end.value, interval_text(end_to_end))
            )
    return rows


def summary_rows(risk: RiskFindings) -> Iterator[tuple[str, int, str, float]]:
    """Yields (measured on, n, figure, value) of robustness, pairs, cases and fairness."""
    threshold = risk.adverse_threshold
    for effect in risk.robustness:
        yield effect.change, effect.mentions, "verdicts that flip", effect.flips
        yield effect.change, effect.mentions, "verdicts that flip end to end", effect.flips_end_to_end
    yield "minimal pairs", len(risk.pairs), "both right", _share([pair.passes(threshold) for pair in risk.pairs])
    for file, outcomes in groupby(risk.cases, key=lambda outcome: outcome.case.file):
        verdicts = [outcome.passes(threshold) for outcome in outcomes]
        yield file, len(verdicts), "right verdict", _share(verdicts)
    for fairness in risk.fairness:
        names = fairness.templates[0].names
        yield f"{fairness.kind} names", names, "mean spread of adverse", fairness.mean_spread
        yield f"{fairness.kind} names", names, "verdicts that flip", fairness.flips


def _bundle(manifest: BundleManifest) -> Markup:
    rows: list[tuple[str, object]] = [
        ("created", manifest.created),
        ("base", f"{manifest.base.name} ({manifest.base.licence})"),
        ("precisions", ", ".join(manifest.files)),
        ("heads", ", ".join(manifest.heads)),
        ("languages", ", ".join(manifest.languages)),
        ("seed", str(manifest.seed)),
        ("made by", manifest.command),
    ]
    return section("Bundle", table(("what", "value"), rows))


def _scores(evaluation: BundleEvaluation) -> Markup:
    rows = [(row.precision, row.head, row.data_set, row.rows, row.scores) for row in evaluation.rows]
    return section(
        "All heads and sets",
        paragraph("Held-out splits of the training sets, and sets that are never trained on.", note=True),
        table(("precision", "head", "set", "n", "scores"), rows),
    )


def _risk(risk: RiskFindings, plots: Mapping[str, Markup]) -> Markup:
    readings = risk.readings
    if not len(readings.given.truth):
        return section("Risk", paragraph("The held-out texts have no labelled mention."))
    return section(
        "Risk",
        paragraph(
            f"{len(readings.given.truth)} labelled mentions of held-out texts, read by the engine of the services. "
            f"A mention is adverse from a probability of {risk.adverse_threshold:g}. "
            f"End to end the engine finds the names itself; it found {100 * readings.found:.1f} % of the mentions, and "
            "a name that it does not find counts as neutral. Intervals are 95 % bootstrap intervals."
        ),
        table(("figure", "spans given", "95 %", "end to end", "95 %"), risk_rows(risk)),
        _plot(plots, "precision_recall", "Material mentions. The point is at the threshold of the bundle."),
        _label_tables(level_readings(readings.given), "spans given"),
        _confusion_table(level_readings(readings.end_to_end), "end to end"),
        _plot(plots, "reliability_level", _reliability_caption(level_readings(readings.given))),
    )


def _events(risk: RiskFindings) -> Markup:
    if risk.events_threshold is None:
        return section("Event types", paragraph(WITHOUT_EVENTS))
    note = f"Named from a probability of {risk.events_threshold:g}, at most three a mention."
    return section(
        "Event types",
        paragraph(note, note=True),
        _class_table(event_figures(risk.readings.given, risk.events_threshold), "Spans given"),
        _class_table(event_figures(risk.readings.end_to_end, risk.events_threshold), "End to end"),
    )


def _robustness(risk: RiskFindings) -> Markup:
    rows = [
        (effect.change, effect.mentions, effect.flips, effect.mean_change, effect.flips_end_to_end)
        for effect in risk.robustness
    ]
    return section(
        "Robustness",
        paragraph("Changes that should leave every verdict as it is. A flip is a verdict that changes.", note=True),
        table(("change", "mentions", "flips", "mean change of adverse", "flips end to end"), rows),
    )


def _pairs(pairs: Sequence[PairOutcome], risk: RiskFindings) -> Markup:
    threshold = risk.adverse_threshold
    failed = [outcome for outcome in pairs if not outcome.passes(threshold)]
    rows: list[tuple[object, ...]] = [
        ("adverse text called adverse, averted text not", _share([item.passes(threshold) for item in pairs])),
        ("adverse text called adverse", _share([item.adverse >= threshold for item in pairs])),
        ("averted text not called adverse", _share([item.averted < threshold for item in pairs])),
    ]
    if risk.events_threshold is not None:
        rows.append(("an event type of the adverse text named", _share([item.names_an_event for item in pairs])))
    failed_rows = [
        (item.pair.target, item.pair.adverse, item.adverse, item.pair.averted, item.averted) for item in failed
    ]
    header = ("target", "adverse text", "adverse", "averted text", "adverse")
    return section(
        "Minimal pairs",
        paragraph("Two texts that differ in little: one is adverse to the target, the other is not.", note=True),
        table((f"of {len(pairs)} pairs", "share"), rows),
        table(header, failed_rows, f"Failed ({len(failed)})") if failed else paragraph("No pair failed."),
    )


def _share(passed: Sequence[bool]) -> float:
    return sum(passed) / len(passed) if passed else 0.0


def _cases(cases: Sequence[CaseOutcome], threshold: float) -> Markup:
    if not cases:
        return section("Cases from the field", paragraph("Left out: no folder of cases was named (--cases)."))
    rows: list[tuple[object, ...]] = []
    for file, outcomes in groupby(cases, key=lambda outcome: outcome.case.file):
        group = list(outcomes)
        right_level = [outcome.level in outcome.case.levels for outcome in group]
        verdicts = [outcome.passes(threshold) for outcome in group]
        rows.append((file, len(group), _share(verdicts), _share(right_level)))
    failed = [
        (outcome.case.text, " or ".join(outcome.case.levels), outcome.level, outcome.adverse)
        for outcome in cases
        if not outcome.passes(threshold)
    ]
    return section(
        "Cases from the field",
        table(("file", "texts", "right verdict", "right level"), rows),
        table(("text", "right level", "most probable level", "adverse"), failed, f"Failed ({len(failed)})")
        if failed
        else paragraph("No case failed."),
    )


def _fairness(risk: RiskFindings) -> Markup:
    rows = [
        (fairness.kind, len(fairness.templates), fairness.mean_spread, fairness.mean_deviation, fairness.flips)
        for fairness in risk.fairness
    ]
    return section(
        "Fairness",
        paragraph(
            "The same sentence with the names of many countries, persons or companies. The spread is the highest minus "
            "the lowest probability of adverse; a flip is a verdict that differs from that of most names.",
            note=True,
        ),
        table(("names", "sentences", "mean spread", "mean standard deviation", "flips"), rows),
        *_fairness_details(risk),
    )


def _fairness_details(risk: RiskFindings) -> Iterator[Markup]:
    header = ("sentence", "meant as", "spread", "standard deviation", "lowest", "highest", "flips", "wrong", "names")
    for fairness in risk.fairness:
        rows = [
            (
                spread.template.text,
                "adverse" if spread.template.adverse else "neutral",
                spread.spread,
                spread.deviation,
                f"{spread.lowest[0]} {spread.lowest[1]:.3f}",
                f"{spread.highest[0]} {spread.highest[1]:.3f}",
                spread.flips,
                spread.wrong,
                spread.names,
            )
            for spread in fairness.templates[:_SHOWN_TEMPLATES]
        ]
        yield table(header, rows, f"{fairness.kind}: sentences with the widest spread")
        groups = [(group.division, group.group, group.names, f"{group.shift:+.3f}") for group in fairness.groups]
        yield table(("by", "group", "names", "shift of adverse"), groups, f"{fairness.kind}: groups of names")


def _heads(evaluation: BundleEvaluation, plots: Mapping[str, Markup]) -> Markup:
    parts: list[Markup] = []
    for readings in evaluation.labels:
        rows = [(name, estimate.value, interval_text(estimate)) for name, estimate in label_estimates(readings).items()]
        parts += [
            section(_HEAD_TITLES[readings.head], table(("figure", "value", "95 %"), rows), level=3),
            _label_tables(readings, ""),
            _plot(plots, f"reliability_{readings.head}", _reliability_caption(readings)),
        ]
    note = f"Held-out texts, read by {evaluation.labels_precision}. Probabilities are calibrated."
    return section("Heads, label by label", paragraph(note, note=True), *parts)


def _label_tables(readings: LabelReadings, how: str) -> Markup:
    """Returns the figures of each label, and the confusion of a head with few labels."""
    tables = [_class_table(class_figures(readings), f"Labels, {how}" if how else "Labels")]
    if len(readings.labels) <= _MAX_CONFUSION:
        tables.append(_confusion_table(readings, how))
    return joined(tables)


def _class_table(figures: Sequence[ClassFigures], caption: str) -> Markup:
    ranked = any(label_figures.average_precision is not None for label_figures in figures)
    header = ["label", "precision", "recall", "F1", *(["average precision"] if ranked else []), "n"]
    rows = [
        (
            label_figures.label,
            label_figures.precision,
            label_figures.recall,
            label_figures.f1,
            *(["–" if label_figures.average_precision is None else label_figures.average_precision] if ranked else []),
            label_figures.support,
        )
        for label_figures in figures
    ]
    return table(header, rows, caption)


def _confusion_table(readings: LabelReadings, how: str) -> Markup:
    counts = confusion(readings).tolist()
    rows = [(label, *row) for label, row in zip(readings.labels, counts, strict=True)]
    return table(("true \\ said", *readings.labels), rows, f"Confusion, {how}" if how else "Confusion")


def _reliability_caption(readings: LabelReadings) -> str:
    error = calibration_error(reliability_bins(readings))
    return f"Reliability of {readings.head} in ten bins; expected calibration error {error:.3f}."


def _plot(plots: Mapping[str, Markup], name: str, caption: str) -> Markup:
    return figure(plots[name], caption) if name in plots else Markup()


def _looks(looks: Sequence[LookEntry]) -> Markup:
    if not looks:
        return section("Looks at the open test set", paragraph("None."))
    return section("Looks at the open test set", table(*look_table(looks)))
