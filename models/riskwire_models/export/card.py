"""The card: README.md of a bundle, written from bundle.json and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from riskwire_models.export.bundle import Bundle

FILE = "README.md"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]


def _figure(scores: Mapping[str, Any], keys: Sequence[str], name: str) -> str:
    value: Any = scores
    for key in keys:
        value = value.get(key, {}) if isinstance(value, Mapping) else {}
    value = value.get(name) if isinstance(value, Mapping) else None
    return "–" if value is None else f"{value:.3f}"


def _score_rows(scores: Mapping[str, Any], part: str, precisions: Sequence[str]) -> list[list[str]]:
    """One row a head (or never-seen set), data set and figure; a column a precision."""
    rows: list[list[str]] = []
    first = scores[precisions[0]][part]
    for head, sets in first.items():
        by_set = sets if part == "held_out" else {head: sets}
        for name, figures in by_set.items():
            path = [part, head, name] if part == "held_out" else [part, name]
            for measure in ("accuracy", "macro_f1", "f1"):
                if measure in figures:
                    label = f"{head}, {name}" if part == "held_out" else name
                    values = [_figure(scores[precision], path, measure) for precision in precisions]
                    rows.append([label, str(figures["n"]), measure.replace("_", "-"), *values])
    return rows


def score_rows(bundle: Bundle, part: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of ``held_out`` or ``never_seen`` figures; empty when nothing was measured."""
    precisions = [name for name in ("fp32", "int8", "fp16") if name in bundle.scores]
    if not precisions:
        return [], []
    return ["measured on", "n", "figure", *precisions], _score_rows(bundle.scores, part, precisions)


_INTRODUCTION = """\
A riskwire bundle: one small encoder that reads a sentence of English financial news once and says how negative, neutral
or positive it is, which persons, organisations, places and other names it holds, how it speaks of each of them, and
which of twenty topics it is about."""

_USE = """\
## Use

Meant for: following the mood of news toward names one watches, as one signal among others, read by a person.
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


def card(bundle: Bundle) -> str:
    """The text of the card."""
    files = "; ".join(f"{name} for {entry.device} (`{entry.path}`)" for name, entry in bundle.files.items())
    lines = [
        f"# {bundle.name} {bundle.version}",
        "",
        _INTRODUCTION,
        "",
        f"- Languages: {', '.join(bundle.languages)}.",
        f"- At most {bundle.max_length} word pieces a sentence; the case of letters is ignored.",
        f"- Base: {bundle.base.name} ({bundle.base.licence}), from {bundle.base.source}.",
        f"- Created {bundle.created}, seed {bundle.seed}.",
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
            ((s.name, s.rows, s.licence, s.attribution, ", ".join(s.used_for), s.note) for s in bundle.training),
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
        head, rows = score_rows(bundle, part)
        if rows:
            lines += [f"### {title}", "", *_table(head, rows), ""]
    errors = bundle.scores.get("calibration")
    if errors:
        temperatures = {name: head.temperature for name, head in bundle.heads.items()}
        lines += [
            "### Calibration",
            "",
            "Expected calibration error (ECE) and negative log-likelihood (NLL) of int8 on the held-out split; logits",
            "are divided by the temperature, which has the least NLL on the dev split.",
            "",
            *_table(
                ("head", "temperature", "ECE raw", "ECE", "NLL raw", "NLL"),
                (
                    (name, temperatures[name], one["raw"], one["calibrated"], one["nll_raw"], one["nll_calibrated"])
                    for name, one in errors.items()
                ),
            ),
            "",
        ]
    invariance = bundle.scores.get("invariance")
    if invariance:
        lines += [
            "### The same in any batch",
            "",
            "Sentences read alone, then in shuffled batches of 2, 3, 7, 16 and 33, compared bit by bit on CPU.",
            "",
            *(
                f"- {name}: {one['differing']} of {one['compared']} readings differed from the sentence alone."
                for name, one in invariance.items()
            ),
            "",
        ]
    lines += ["## Again", "", f"    {bundle.command}", ""]
    if bundle.notes:
        lines += ["Notes of this run:", "", *(f"- {note}" for note in bundle.notes), ""]
    return "\n".join(lines)


def write_card(folder: Path, bundle: Bundle) -> Path:
    """Writes the card beside bundle.json."""
    path = folder / FILE
    path.write_text(card(bundle), encoding="utf-8")
    return path
