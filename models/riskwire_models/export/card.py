"""The model card: README.md of a bundle, which is rendered from bundle.json alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from riskwire_models.export.manifest import BundleManifest, LookEntry

FILE = "README.md"


#: What the figures of a head are called before people.
_FIGURES = {"accuracy": "accuracy", "macro_f1": "macro-f1", "f1": "f1"}
#: The same for the risk labels.
RISK_FIGURES = {
    "material_recall": "material recognised as adverse",
    "adverse_precision": "precision of adverse",
    "material_average_precision": "average precision of material",
    "event_f1": "event types, micro-F1",
    "level_ece": "calibration error of level",
}


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]


def _score_text(scores: Mapping[str, Any], keys: Sequence[str], name: str) -> str:
    """Returns a score with three digits, found in nested scores by `keys` and then `name`; "–" if it is missing."""
    value: Any = scores
    for key in keys:
        value = value.get(key, {}) if isinstance(value, Mapping) else {}
    value = value.get(name) if isinstance(value, Mapping) else None
    return "–" if value is None else f"{value:.3f}"


def _score_rows(scores: Mapping[str, Any], part: str, precisions: Sequence[str]) -> list[list[str]]:
    """Returns a row for each head (or never-seen set), data set and metric, with a column for each precision."""
    rows: list[list[str]] = []
    for head, sets in scores[precisions[0]][part].items():
        by_set = sets if part == "held_out" else {head: sets}
        for name, set_scores in by_set.items():
            path = [part, head, name] if part == "held_out" else [part, name]
            metrics = RISK_FIGURES if head == "risk" else _FIGURES
            for metric, title in metrics.items():
                if metric in set_scores:
                    label = f"{head}, {name}" if part == "held_out" else name
                    values = [_score_text(scores[precision], path, metric) for precision in precisions]
                    rows.append([label, str(set_scores["n"]), title, *values])
    return rows


def score_table(manifest: BundleManifest, part: str) -> tuple[list[str], list[list[str]]]:
    """Returns header and rows of the table of ``held_out`` or ``never_seen`` scores; both empty if there are none."""
    precisions = [name for name in ("fp32", "int8", "fp16") if name in manifest.scores]
    if not precisions:
        return [], []
    return ["measured on", "n", "figure", *precisions], _score_rows(manifest.scores, part, precisions)


def look_table(looks: Iterable[LookEntry]) -> tuple[list[str], list[list[str]]]:
    """Returns header and rows of the table of looks at the open test set: a row for each look and way of reading."""
    rows = [
        [
            look.at,
            str(look.figures.get("mentions", "–")),
            title,
            *(_figure_text(look.figures.get(part, {}).get(name)) for name in RISK_FIGURES),
        ]
        for look in looks
        for part, title in (("given", "spans given"), ("end_to_end", "end to end"))
    ]
    return ["at", "mentions", "read", *RISK_FIGURES.values()], rows


def _figure_text(figure: Sequence[float] | None) -> str:
    """Returns a figure with its interval, such as ``0.812 (0.780 to 0.841)``; "–" if it was not measured."""
    return "–" if figure is None else "{:.3f} ({:.3f} to {:.3f})".format(*figure)


_INTRODUCTION = """\
A riskwire bundle: one small encoder that reads a sentence of English financial news once and says how negative, neutral
or positive it is, which persons, organisations, places and other names it holds, how it speaks of each of them, and
which of twenty topics it is about."""

_RISK_INTRODUCTION = """\
A riskwire bundle: one small encoder that reads a sentence of English financial news once and says which persons,
organisations, places and other names it holds, how bad it is for each of them (level: neutral, mild, material or
favourable), what happened to them (42 event types), how it speaks of them, how negative, neutral or positive it is as a
whole, and which of twenty topics it is about."""

_OF_CHECKPOINTS = """\
A riskwire bundle of two checkpoints of others: one finds the persons, organisations, places and other names of a
sentence, one says how negative, neutral or positive the sentence is. Each reads with its own tokenizer. See the pages
of the checkpoints for their data, licences and limits.

What this bundle does not say: how a sentence speaks of each of its names (a mention has the sentiment of its sentence),
how bad it is for them (level), what happened (event types), and what it is about (topics)."""

_USE = """\
## Use

Meant for: following the news of names one watches, as one signal among others, read by a person.
Not meant for: automatic trading, decisions about persons, other languages, advice.

Limits: trained on headlines, tweets and short sentences, many of them American or Indian; figures are compared by
words, not by arithmetic; irony and denials are often missed; sentiment is that of an annotator who asks what it means
for the price; the target head sees a mention's word pieces, so two mentions in one clause may share a verdict; name
tags are weakest for MISC and for names in tweets."""

_CHANGES = """\
The statements written by rule are ours. They were written knowing how company reports sound, and so how Financial
PhraseBank sounds; no sentence was taken from it. Sets marked *never seen* below measured the bundle and taught it
nothing; their licences forbid more.

Changes to the sets: links dropped, HTML unescaped, leading cashtags dropped for half of the tweets; titles cut from
persons of the Groningen set; nationalities tagged as places became MISC; handles teach nothing; SEntFiN and FinEntity
name only opinionated entities, so there only listed organisations and lower-case words teach tags. Splits go by a hash
of the normalised text: texts that agree in its first twelve words never straddle train, dev and test."""


def render_card(manifest: BundleManifest) -> str:
    """Returns the text of the card."""
    return _checkpoints_card(manifest) if manifest.sentiment_model is not None else _own_card(manifest)


def _checkpoints_card(manifest: BundleManifest) -> str:
    """Returns the card of a bundle of two checkpoints, of which little is known."""
    second = manifest.sentiment_model
    models = [("names", manifest.base, manifest.max_length, manifest.files)]
    if second is not None:
        models.append(("sentiment", second.base, second.max_length, second.files))
    lines = [
        f"# {manifest.name} {manifest.version}",
        "",
        _OF_CHECKPOINTS,
        "",
        *_table(
            ("what", "checkpoint", "licence", "word pieces", "files"),
            (
                (role, f"{base.name}, a {base.source}", base.licence, length, ", ".join(e.path for e in files.values()))
                for role, base, length, files in models
            ),
        ),
        "",
        "Share of answers that are those of torch, on the sentences of the fifty pairs of `riskwire model evaluate`:",
        "",
        *_table(
            ("head", *manifest.files),
            (
                (head, *(f"{share:.3f}" for share in by_precision.values()))
                for head, by_precision in manifest.scores["agreement"].items()
            ),
        ),
        "",
        *_invariance(manifest),
        "## Again",
        "",
        f"    {manifest.command}",
        "",
        *(f"- {note}" for note in manifest.notes),
        "",
    ]
    return "\n".join(lines)


def _own_card(manifest: BundleManifest) -> str:
    """Returns the card of a bundle that was trained by a recipe."""
    files = "; ".join(f"{name} for {entry.device} (`{entry.path}`)" for name, entry in manifest.files.items())
    lines = [
        f"# {manifest.name} {manifest.version}",
        "",
        _RISK_INTRODUCTION if "level" in manifest.heads else _INTRODUCTION,
        "",
        f"- Languages: {', '.join(manifest.languages)}.",
        f"- At most {manifest.max_length} word pieces a sentence; the case of letters is ignored.",
        f"- Base: {manifest.base.name} ({manifest.base.licence}), from {manifest.base.source}.",
        f"- Created {manifest.created}, seed {manifest.seed}.",
        f"- Precisions: {files}. fp32 is never shipped.",
        "",
        _USE,
        "",
        "## Data",
        "",
        "Trained only on data whose licence, as its publisher states it, allows commercial use. One is not certain:",
        "the texts of the Groningen set are public domain, but the licence of the package is unclear.",
        "",
        *_table(
            ("set", "rows used", "licence", "attribution", "teaches", "note"),
            (
                (entry.name, entry.rows, entry.licence, entry.attribution, ", ".join(entry.used_for), entry.note)
                for entry in manifest.training
            ),
        ),
        "",
        _CHANGES,
        "",
        "## Scores",
        "",
        "All precisions were measured with onnxruntime's CPU provider. Entity figures are micro-F1 of whole entities;",
        "*mixed sentences*: their mentions differ in sentiment; *all gold*: without the silver tags of *gmb*.",
        "",
    ]
    for part, title in (("held_out", "Held out of the training sets"), ("never_seen", "Never seen")):
        header, rows = score_table(manifest, part)
        if rows:
            lines += [f"### {title}", "", *_table(header, rows), ""]
    if risk := manifest.scores.get("risk"):
        lines += [
            "### Risk, with intervals",
            "",
            "int8 on the held-out mentions, whose spans are given, with 95 % bootstrap intervals. A mention is adverse",
            f"from a probability of {manifest.heads['level'].threshold or 0.5:g}, an event type is named from"
            f" {manifest.heads['events'].threshold or 0.5:g}.",
            "",
            *_table(("figure", "value"), ((RISK_FIGURES[name], _figure_text(figure)) for name, figure in risk.items())),
            "",
        ]
    errors = manifest.scores.get("calibration")
    if errors:
        temperatures = {name: head.temperature for name, head in manifest.heads.items()}
        lines += [
            "### Calibration",
            "",
            "Expected calibration error (ECE) and negative log-likelihood (NLL) of int8 on the held-out split; logits",
            "are divided by the temperature, which has the least NLL on the dev split.",
            "",
            *_table(
                ("head", "temperature", "ECE raw", "ECE", "NLL raw", "NLL"),
                (
                    (
                        head,
                        temperatures[head],
                        error["raw"],
                        error["calibrated"],
                        error["nll_raw"],
                        error["nll_calibrated"],
                    )
                    for head, error in errors.items()
                ),
            ),
            "",
        ]
    if manifest.looks:
        lines += [
            "### Looks at the open test set",
            "",
            "Each run of `riskwire model look`, with 95 % bootstrap intervals. The set is never trained on.",
            "",
            *_table(*look_table(manifest.looks)),
            "",
        ]
    lines += _invariance(manifest)
    lines += ["## Again", "", f"    {manifest.command}", ""]
    if manifest.notes:
        lines += ["Notes of this run:", "", *(f"- {note}" for note in manifest.notes), ""]
    return "\n".join(lines)


def _invariance(manifest: BundleManifest) -> list[str]:
    """Returns the section on readings in batches, if they were compared."""
    invariance = manifest.scores.get("invariance")
    if not invariance:
        return []
    return [
        "### The same in any batch",
        "",
        "Sentences read alone, then in shuffled batches of 2, 3, 7, 16 and 33, compared bit by bit on CPU.",
        "",
        *(
            f"- {name}: {counts['differing']} of {counts['compared']} readings differed from the sentence alone."
            for name, counts in invariance.items()
        ),
        "",
    ]


def write_card(folder: Path, manifest: BundleManifest) -> Path:
    """Writes the card beside bundle.json, and returns its path."""
    path = folder / FILE
    path.write_text(render_card(manifest), encoding="utf-8")
    return path
