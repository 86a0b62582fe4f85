"""The HTML report: its curves, its plots, and that no text can become markup."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from small_models.libraries import needs_metrics, skip_without

from riskwire_models.data.labels import EVENT_TYPES, LEVELS
from riskwire_models.evaluation.engine_reading import EngineReadings
from riskwire_models.evaluation.fairness import kind_fairness
from riskwire_models.evaluation.report.content import render_report, risk_rows, summary_rows
from riskwire_models.evaluation.report.curves import (
    LabelReadings,
    calibration_error,
    class_figures,
    confusion,
    event_figures,
    label_estimates,
    operating_curve,
    reliability_bins,
)
from riskwire_models.evaluation.report.findings import (
    WITHOUT_EVENTS,
    WITHOUT_LEVEL,
    BundleEvaluation,
    RiskFindings,
    ScoreRow,
)
from riskwire_models.evaluation.report.html import Markup, escaped, table
from riskwire_models.evaluation.risk_readings import Estimate, RiskReadings
from riskwire_models.evaluation.robustness import CaseOutcome, ChangeEffect, FieldCase, MinimalPair, PairOutcome
from riskwire_models.evaluation.templates import NameTemplate, SlotName
from riskwire_models.export.card import RISK_FIGURES
from riskwire_models.export.manifest import BundleManifest, LookEntry, read_manifest

BundleCopy = Callable[..., Path]
HOSTILE = "\"'><script>alert(1)</script><img src=https://example.com/x onerror=alert(2)>&amp;"
needs_plots = skip_without("matplotlib")


class _Tags(HTMLParser):
    """Collects the tags and the attributes of a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def label_readings(probabilities: list[list[float]], truth: list[int]) -> LabelReadings:
    """Returns readings of the three sentiments."""
    return LabelReadings("sentiment", ("negative", "neutral", "positive"), np.array(probabilities), np.array(truth))


def risk_readings(*mentions: tuple[str, float, str | None]) -> RiskReadings:
    """Returns readings of mentions: true level, probability of material (neutral for the remainder), event named."""
    levels = np.zeros((len(mentions), len(LEVELS)))
    events, true_events = np.zeros((len(mentions), len(EVENT_TYPES))), np.zeros((len(mentions), len(EVENT_TYPES)), bool)
    for row, (_, probability, event) in enumerate(mentions):
        levels[row, [LEVELS.index("neutral"), LEVELS.index("material")]] = 1 - probability, probability
        true_events[row, EVENT_TYPES.index("default")] = True
        if event is not None:
            events[row, EVENT_TYPES.index(event)] = 0.9
    return RiskReadings(levels, np.array([LEVELS.index(level) for level, _, _ in mentions]), events, true_events)


def findings(text: str = "Acme", *, events: bool = True) -> RiskFindings:
    """Returns findings in which every text is the given one; the pair and the case fail."""
    readings = risk_readings(("material", 0.9, "default"), ("neutral", 0.2, None), ("mild", 0.6, "crime"))
    estimates = {name: Estimate(0.5, 0.25, 0.75) for name in RISK_FIGURES}
    pair = MinimalPair(
        target=text, adverse=text + " in default", averted="no: " + text, level="mild", events=("default",)
    )
    names = (SlotName(text, {"region": text}), SlotName("B", {"region": "south"}))
    return RiskFindings(
        0.45,
        0.4 if events else None,
        EngineReadings(readings, readings, 0.875),
        estimates,
        estimates,
        (ChangeEffect(text, 3, 0.25, 0.125, 0.5),),
        (PairOutcome(pair, 0.8, 0.7, (text,)),),
        (CaseOutcome(FieldCase(text, text, ("neutral",)), 0.9, text),),
        (kind_fairness("person", names, {NameTemplate("person", text + " {X}", adverse=True): [0.1, 0.9]}, 0.5),),
    )


@pytest.fixture(name="manifest")
def _manifest(bundle_copy: BundleCopy) -> BundleManifest:
    return read_manifest(bundle_copy())


def evaluation_of(manifest: BundleManifest, risk: RiskFindings | None, text: str = "Acme") -> BundleEvaluation:
    """Returns an evaluation in which names and scores are the given text."""
    row = ScoreRow(text, text, text, 7, text)
    labels = label_readings([[0.8, 0.1, 0.1], [0.3, 0.4, 0.3], [0.6, 0.2, 0.2]], [0, 1, 2])
    return BundleEvaluation(manifest, (row,), (labels,), "int8", risk)


def test_the_confusion_counts_true_labels_by_row() -> None:
    readings = label_readings([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1]], [0, 1, 1])
    assert confusion(readings).tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_the_figures_of_a_label_that_never_occurs_are_left_out() -> None:
    readings = label_readings([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1]], [0, 1, 1])
    negative, neutral = class_figures(readings)
    assert (negative.label, negative.precision, negative.recall, negative.support) == ("negative", 0.5, 1.0, 1)
    assert (neutral.label, neutral.precision, neutral.recall, neutral.support) == ("neutral", 1.0, 0.5, 2)
    assert negative.f1 == neutral.f1 == pytest.approx(2 / 3)


def test_average_precision_is_the_mean_precision_at_each_right_row() -> None:
    right = np.array([True, False, True, False])
    curve = operating_curve(right, right, np.array([0.9, 0.8, 0.7, 0.6]))
    assert curve.average_precision == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert curve.recall.tolist() == [0.5, 0.5, 1.0, 1.0]


def test_rows_with_equal_scores_are_called_together() -> None:
    right = np.array([True, False])
    curve = operating_curve(right, right, np.array([0.5, 0.5]))
    assert (curve.recall.tolist(), curve.precision.tolist()) == ([1.0], [0.5])


@needs_metrics
def test_average_precision_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score

    generator = np.random.default_rng(5)
    right, scores = generator.random(300) < 0.3, generator.random(300).round(1)
    assert operating_curve(right, right, scores).average_precision == pytest.approx(
        average_precision_score(right, scores)
    )


def test_bins_of_equal_width_hold_all_rows_and_a_certain_one_is_in_the_last() -> None:
    bins = reliability_bins(label_readings([[1.0, 0.0, 0.0], [0.0, 0.96, 0.04], [0.4, 0.3, 0.3]], [0, 0, 0]))
    assert [(item.low, item.high, item.rows) for item in bins] == [(0.4, 0.5, 1), (0.9, 1.0, 2)]
    assert (bins[1].confidence, bins[1].accuracy) == (pytest.approx(0.98), 0.5)
    assert calibration_error(bins) == pytest.approx((0.6 + 2 * 0.48) / 3)
    assert calibration_error([]) == 0.0


def test_the_interval_of_accuracy_holds_the_accuracy() -> None:
    readings = label_readings([[0.8, 0.1, 0.1]] * 60 + [[0.1, 0.8, 0.1]] * 40, [0] * 50 + [1] * 50)
    accuracy = label_estimates(readings)["accuracy"]
    assert accuracy.value == pytest.approx(0.9)
    assert 0.8 < accuracy.low < accuracy.value < accuracy.high < 1.0
    assert label_estimates(readings) == label_estimates(readings)


def test_event_figures_list_the_types_that_are_true_or_named() -> None:
    readings = risk_readings(("material", 0.9, "default"), ("material", 0.9, "crime"))
    default, crime = event_figures(readings, 0.5)
    assert (default.label, default.precision, default.recall, default.support) == ("default", 1.0, 0.5, 2)
    assert (crime.label, crime.precision, crime.recall, crime.support) == ("crime", 0.0, 0.0, 0)


def test_hostile_text_stays_text(manifest: BundleManifest) -> None:
    look = LookEntry(at=HOSTILE, figures={"mentions": 1, "given": {}, "end_to_end": {}})
    hostile = manifest.model_copy(update={"name": HOSTILE, "command": HOSTILE, "looks": (look,)})
    document = render_report(evaluation_of(hostile, findings(HOSTILE), HOSTILE), {})
    tags = _Tags(document)
    assert not {"script", "img", "iframe", "link", "object", "form"} & set(tags.tags)
    assert not [name for name, _ in tags.attributes if name.startswith("on") or name in {"src", "href"}]
    assert tags.text.count(HOSTILE) >= 15


def test_the_report_states_the_figures_and_lists_what_failed(manifest: BundleManifest) -> None:
    text = _Tags(render_report(evaluation_of(manifest, findings("defaults")), {})).text
    assert "3 labelled mentions of held-out texts" in text
    assert "found 87.5 % of the mentions" in text
    assert "material recognised as adverse0.5000.250 to 0.7500.5000.250 to 0.750" in text
    assert "Failed (1)" in text
    assert "no: defaults" in text
    assert "widest spread" in text


def test_pairs_that_all_pass_are_said_to(manifest: BundleManifest) -> None:
    risk = findings()
    passed = replace(risk.pairs[0], averted=0.1)
    document = render_report(evaluation_of(manifest, replace(risk, pairs=(passed,), cases=())), {})
    assert "No pair failed." in document
    assert "no folder of cases was named" in document


def test_without_a_head_for_levels_the_report_says_what_is_left_out(manifest: BundleManifest) -> None:
    document = render_report(evaluation_of(manifest, None), {})
    assert WITHOUT_LEVEL in document
    for title in ("Robustness", "Minimal pairs", "Fairness", "Event types"):
        assert f"<h2>{title}</h2>" not in document


def test_without_a_head_for_events_only_their_figures_are_left_out(manifest: BundleManifest) -> None:
    risk = findings(events=False)
    document = render_report(evaluation_of(manifest, risk), {})
    assert WITHOUT_EVENTS in document
    assert "<h2>Robustness</h2>" in document
    assert not any("event" in row[0] for row in risk_rows(risk))
    assert len(risk_rows(risk)) == len(RISK_FIGURES) - 1


def test_the_summary_names_every_suite() -> None:
    rows = {(name, figure): value for name, _, figure, value in summary_rows(findings("swap"))}
    assert rows["swap", "verdicts that flip"] == 0.25
    assert rows["swap", "verdicts that flip end to end"] == 0.5
    assert rows["minimal pairs", "both right"] == 0.0
    assert rows["swap", "right verdict"] == 0.0
    assert rows["person names", "mean spread of adverse"] == pytest.approx(0.8)
    assert rows["person names", "verdicts that flip"] == 0.5


def test_markup_is_kept_and_anything_else_escaped() -> None:
    assert escaped(Markup("<b>")) == "<b>"
    assert escaped("<b>") == "&lt;b&gt;"
    assert "<td>&lt;i&gt;</td>" in table(("<h>",), [("<i>",)], "<c>")
    assert "&lt;h&gt;" in table(("<h>",), [("<i>",)], "<c>")
    assert "&lt;c&gt;" in table(("<h>",), [("<i>",)], "<c>")


@needs_plots
def test_the_plots_stand_inside_the_page_and_fetch_nothing(manifest: BundleManifest) -> None:
    from riskwire_models.evaluation.report.plots import draw_plots

    evaluation = evaluation_of(manifest, findings())
    plots = draw_plots(evaluation)
    assert set(plots) == {"reliability_sentiment", "reliability_level", "precision_recall"}
    assert draw_plots(evaluation) == plots
    document = render_report(evaluation, plots)
    assert document.count("<svg") == 3
    assert "://" not in document
    assert not re.search(r"url\((?!#)|@import|<script|<!ENTITY", document)
    identifiers = re.findall(r'\bid="([^"]*)"', document)
    assert len(identifiers) == len(set(identifiers))
    assert set(re.findall(r'(?:url\(|href=")#([^")]*)', document)) <= set(identifiers)
    assert "threshold 0.45 of adverse" in document


@needs_plots
def test_there_are_no_plots_of_levels_without_mentions(manifest: BundleManifest) -> None:
    from riskwire_models.evaluation.report.plots import draw_plots

    nothing = risk_readings()
    risk = replace(findings(), readings=EngineReadings(nothing, nothing, 0.0), spans_given={}, end_to_end={})
    evaluation = evaluation_of(manifest, risk)
    assert set(draw_plots(evaluation)) == {"reliability_sentiment"}
    assert "no labelled mention" in render_report(evaluation, {})


@pytest.fixture(name="data")
def _data(data_folder: Path, tmp_path: Path) -> Path:
    """Returns a folder of small data sets without topics, of which the tiny bundle knows only three."""
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    (folder / "topic" / "tfn_topic_train.jsonl").write_text("")
    return folder


@needs_metrics
@needs_plots
def test_evaluate_measures_the_risk_of_held_out_texts_and_never_opens_the_open_set(
    bundle_copy: BundleCopy, data: Path, tmp_path: Path
) -> None:
    from riskwire_models.evaluation.evaluate import evaluate_bundle
    from riskwire_models.evaluation.report.plots import draw_plots

    (data / "risk" / "open.jsonl").write_text("not JSON, so that reading it fails")
    evaluation = evaluate_bundle(bundle_copy(), data, threads=1, log=lambda line: None)
    risk = evaluation.risk
    assert risk is not None
    assert {row.head for row in evaluation.rows} >= {"sentiment", "level", "events", "never seen"}
    assert risk.spans_given["material_recall"] == Estimate(1.0, 1.0, 1.0)
    assert 0.0 < risk.readings.found <= 1.0
    assert len(risk.pairs) == 50
    assert risk.cases == ()
    assert "Robustness" in render_report(evaluation, draw_plots(evaluation))


@needs_metrics
def test_evaluate_leaves_out_what_a_bundle_has_no_head_for(bundle_copy: BundleCopy, data: Path) -> None:
    from riskwire_models.evaluation.evaluate import evaluate_bundle

    evaluation = evaluate_bundle(bundle_copy(without=("level", "events")), data, threads=1, log=lambda line: None)
    assert evaluation.risk is None
    assert {"sentiment", "never seen"} <= {row.head for row in evaluation.rows}
