"""The level and the events of each named party, read from texts and from sentences with placeholders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire_models.data.examples import Example, json_lines
from riskwire_models.data.labels import LEVELS
from riskwire_models.data.risk import (
    GUIDE_LEVELS,
    SHARE_WITH_LINKS,
    fill_risk_statements,
    find_same_occurrence,
    headline_rows,
    read_risk,
    short_name,
)
from riskwire_models.data.text import clean_tweet, unit_hash
from riskwire_models.errors import TrainingDataError
from riskwire_models.training.recipe import LABELS

COMPANIES = ["Acme Motors Inc.", "Globex Holdings Group", "Initech", "Kohl's Corp", "Umbrella & Sons PLC"]


def write_rows(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def risk_row(text: str, *targets: tuple[str, str, list[str]], events: tuple[str, ...] = ()) -> dict[str, object]:
    """Returns a row whose targets are given as (name, level, events); a name is at its first occurrence."""
    labels = [
        {"start": text.index(name), "end": text.index(name) + len(name), "level": level, "events": codes}
        for name, level, codes in targets
    ]
    return {"text": text, "targets": labels, "events": list(events)}


def names_of(example: Example) -> list[str]:
    return [example.text[target.start : target.end] for target in example.targets]


def cleaned_text(text: str) -> str:
    """Returns the text with a word behind it, chosen so that the reader removes the links of the text."""
    return next(f"{text} {number}" for number in range(99) if unit_hash(f"{text} {number}", "links") > SHARE_WITH_LINKS)


def test_a_party_has_a_level_and_events_and_the_sentence_has_those_of_no_party(tmp_path: Path) -> None:
    row = risk_row("Acme defaults as riots spread", ("Acme", "2", ["default"]), events=("unrest",))
    (example,) = read_risk(write_rows(tmp_path / "r.jsonl", row), "risk")
    assert [(target.level, target.events, target.sentiment) for target in example.targets] == [
        ("material", ("default",), None)
    ]
    assert example.events == ("unrest",)
    assert example.source == "risk"


def test_a_text_without_parties_is_known_to_have_no_events(tmp_path: Path) -> None:
    (example,) = read_risk(write_rows(tmp_path / "r.jsonl", {"text": "Markets open"}), "risk")
    assert example.targets == ()
    assert example.events == ()


def test_the_levels_of_the_guide_are_those_of_the_head() -> None:
    assert tuple(GUIDE_LEVELS.values()) == LEVELS


def test_spans_cover_the_same_names_after_cleaning(tmp_path: Path) -> None:
    text = cleaned_text("$ACM  M&amp;A: https://t.co/Acme1  Acme   sues Globex &gt; Acme")
    row = risk_row(text, ("Globex", "1", ["litigation"]))
    last = text.rindex("Acme")
    row["targets"].append({"start": last, "end": last + 4, "level": "0", "events": []})  # type: ignore[attr-defined]
    (example,) = read_risk(write_rows(tmp_path / "r.jsonl", row), "risk")
    assert example.text == clean_tweet(text)
    assert "https" not in example.text
    assert names_of(example) == ["Globex", "Acme"]
    assert example.targets[1].start == example.text.rindex("Acme")


def test_some_texts_keep_their_links(tmp_path: Path) -> None:
    rows = [{"text": f"Acme falls {number} https://t.co/{number}"} for number in range(300)]
    with_links = sum("https" in example.text for example in read_risk(write_rows(tmp_path / "r.jsonl", *rows), "risk"))
    assert abs(with_links / 300 - SHARE_WITH_LINKS) < 0.07


def test_a_name_that_cleaning_removes_is_left_out(tmp_path: Path) -> None:
    text = cleaned_text("Rates rise https://t.co/Acme")
    row = risk_row(text, ("Acme", "1", []))
    (example,) = read_risk(write_rows(tmp_path / "r.jsonl", row), "risk")
    assert example.targets == ()


@given(st.lists(st.sampled_from(["Acme", "Acme's", "falls", "&amp;", "  ", "https://t.co/x", "https://t.co/Acme"])))
def test_the_same_occurrence_of_a_name_is_found_in_the_cleaned_text(words: list[str]) -> None:
    raw = " ".join(words)
    cleaned = clean_tweet(raw)
    starts = [start for start in range(len(raw)) if raw.startswith("Acme", start) and raw[start - 1 : start] != "/"]
    positions = [find_same_occurrence(raw, start, start + 4, cleaned) for start in starts]
    assert positions == [start for start in range(len(cleaned)) if cleaned.startswith("Acme", start)]
    assert [find_same_occurrence(raw, start, start + 4, raw) for start in starts] == starts


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ({"level": "3", "events": []}, r"r\.jsonl: label '3' is not one of 0, 1, 2, \+"),
        ({"level": 2, "events": []}, r"r\.jsonl: label 2 is not one of 0, 1, 2, \+"),
        ({"level": "2", "events": ["bankrupt"]}, r"r\.jsonl: label 'bankrupt' is not one of bankruptcy, default"),
    ],
)
def test_an_unknown_level_or_event_is_refused_with_its_value_and_file(
    tmp_path: Path, label: dict[str, object], message: str
) -> None:
    path = write_rows(tmp_path / "r.jsonl", {"text": "Acme falls", "targets": [{"start": 0, "end": 4, **label}]})
    with pytest.raises(TrainingDataError, match=message):
        list(read_risk(path, "risk"))


def test_an_unknown_event_of_the_sentence_is_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "r.jsonl", {"text": "Acme falls", "events": ["strike"]})
    with pytest.raises(TrainingDataError, match=r"r\.jsonl: label 'strike' is not one of"):
        list(read_risk(path, "risk"))


@pytest.mark.parametrize(("start", "end"), [(0, 11), (4, 4), (-1, 4)])
def test_a_span_that_does_not_fit_the_text_is_refused(tmp_path: Path, start: int, end: int) -> None:
    row = {"text": "Acme falls", "targets": [{"start": start, "end": end, "level": "1", "events": []}]}
    with pytest.raises(TrainingDataError, match=f"span {start}-{end} does not fit the text 'Acme falls'"):
        list(read_risk(write_rows(tmp_path / "r.jsonl", row), "risk"))


STATEMENTS = [
    {
        "text": "{K} cuts {A} as {G} sues {B}, {P} of {B} quits {L}; {R} cuts {C}",
        "targets": [
            {"name": "{A}", "level": "1", "events": ["broker_downgrade"]},
            {"name": "{B}", "level": "2", "events": ["litigation"]},
            {"name": "{P}", "level": "0", "events": []},
        ],
        "events": ["unrest"],
    },
    {"text": "{A} DEFAULTS IN {L}", "targets": [{"name": "{A}", "level": "2", "events": ["default"]}]},
]


def filled(path: Path, companies: Sequence[str] = COMPANIES, *, copies: int, seed: int) -> Iterator[Example]:
    return fill_risk_statements(json_lines(path), path, companies, copies, seed)


def test_every_placeholder_becomes_a_name_with_the_right_span_and_type(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "s.jsonl", STATEMENTS[0])
    short_names = {short_name(company) for company in COMPANIES}
    for example in filled(path, copies=40, seed=2):
        assert "{" not in example.text
        assert example.entities is not None
        names = [example.text[span.start : span.end] for span in example.entities]
        assert [span.label for span in example.entities] == [
            "ORG",
            "ORG",
            "ORG",
            "ORG",
            "PER",
            "ORG",
            "LOC",
            "ORG",
            "ORG",
        ]
        broker, first, authority, second, person, second_again, place, agency, third = names
        assert second == second_again
        assert {first, second, third} <= short_names | set(COMPANIES)
        assert len({first, second, third}) == 3
        assert example.text == (
            f"{broker} cuts {first} as {authority} sues {second}, {person} of {second} quits {place};"
            f" {agency} cuts {third}"
        )


def test_the_first_name_of_each_labelled_placeholder_carries_its_label(tmp_path: Path) -> None:
    (example,) = filled(write_rows(tmp_path / "s.jsonl", STATEMENTS[0]), copies=1, seed=2)
    assert example.entities is not None
    spans = [(example.entities[number].start, example.entities[number].end) for number in (1, 3, 4)]
    assert [(target.start, target.end) for target in example.targets] == spans
    assert [(target.level, target.events) for target in example.targets] == [
        ("mild", ("broker_downgrade",)),
        ("material", ("litigation",)),
        ("neutral", ()),
    ]
    assert example.events == ("unrest",)


def test_the_names_of_an_upper_case_statement_are_upper_case_and_remain_spans(tmp_path: Path) -> None:
    for example in filled(write_rows(tmp_path / "s.jsonl", STATEMENTS[1]), copies=30, seed=5):
        assert example.text.isupper()
        assert example.entities is not None
        company, place = example.entities
        assert example.text == (
            f"{example.text[company.start : company.end]} DEFAULTS IN {example.text[place.start : place.end]}"
        )
        known = {name.upper() for company_name in COMPANIES for name in (company_name, short_name(company_name))}
        assert names_of(example)[0] in known
        assert [(span.label, span.start) for span in example.entities] == [("ORG", 0), ("LOC", place.start)]


def test_a_name_that_upper_case_would_lengthen_leaves_the_statement_as_it_is(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "s.jsonl", STATEMENTS[1])
    for example in filled(path, ["Weiß", "Großmann", "Preuß"], copies=9, seed=1):
        assert names_of(example)[0] in {"Weiß", "Großmann", "Preuß"}


def test_the_same_seed_gives_the_same_statements_and_copies_differ(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "s.jsonl", *STATEMENTS)
    first = list(filled(path, copies=2, seed=3))
    assert first == list(filled(path, copies=2, seed=3))
    assert first != list(filled(path, copies=2, seed=4))
    assert len(first) == 4
    assert first[0].text != first[1].text


@pytest.mark.parametrize(
    ("company", "short"),
    [
        ("Apple Inc.", "Apple"),
        ("Globex Holdings Group", "Globex"),
        ("Acme, Inc", "Acme"),
        ("Holdings", "Holdings"),
        ("Carnival plc", "Carnival"),
        ("Bank of X", "Bank of X"),
    ],
)
def test_a_short_name_has_no_legal_form_at_its_end(company: str, short: str) -> None:
    assert short_name(company) == short


def test_a_headline_is_a_text_and_the_levels_and_events_of_its_placeholders(tmp_path: Path) -> None:
    path = tmp_path / "h.tsv"
    path.write_text("{R} cuts {A} to junk\tR=0;A=2:credit_downgrade\n{A} beats\tA=+:results_good+price_rise\n")
    rows = list(headline_rows(path))
    assert rows[0] == {
        "text": "{R} cuts {A} to junk",
        "targets": [
            {"name": "{R}", "level": "0", "events": []},
            {"name": "{A}", "level": "2", "events": ["credit_downgrade"]},
        ],
        "events": [],
    }
    examples = list(fill_risk_statements(rows, path, COMPANIES, copies=3, seed=4, source="risk_headlines"))
    assert {example.source for example in examples} == {"risk_headlines"}
    assert [target.level for target in examples[0].targets] == ["neutral", "material"]
    assert examples[5].targets[0].events == ("results_good", "price_rise")


@pytest.mark.parametrize("line", ["{A} falls", "{A} falls\tB=1", "{A} falls\tA=3", "{A} falls\tA"])
def test_a_wrong_line_of_headlines_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "h.tsv"
    path.write_text("{A} gains\tA=+\n" + line + "\n")
    with pytest.raises(TrainingDataError, match=r"h\.tsv:2: .* is no label of a placeholder of '\{A\} falls"):
        list(headline_rows(path))


def test_every_headline_that_ships_has_labels_of_the_guide_and_stands_once() -> None:
    rows = list(headline_rows(LABELS / "headlines.tsv"))
    assert len(rows) > 600
    assert len({row["text"] for row in rows}) == len(rows)
    examples = list(fill_risk_statements(rows, LABELS / "headlines.tsv", COMPANIES, copies=1, seed=1))
    assert all(example.targets for example in examples)
