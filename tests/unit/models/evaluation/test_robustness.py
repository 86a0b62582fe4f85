"""What must not change a verdict, and what must: changes of texts, minimal pairs, and cases from the field."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from riskwire_models.data.examples import Example
from riskwire_models.data.labels import EVENT_TYPES, LabelledTarget
from riskwire_models.errors import TrainingDataError
from riskwire_models.evaluation.robustness import (
    CaseOutcome,
    ChangeEffect,
    FieldCase,
    MinimalPair,
    PairOutcome,
    changes,
    measure_cases,
    measure_pairs,
    measure_robustness,
    read_cases,
    read_pairs,
    with_link,
)

THRESHOLD = 0.45
PAIR = {
    "target": "Acme Corp",
    "adverse": "Acme Corp in bankruptcy",
    "averted": "Acme Corp wins with record profit",
    "level": "material",
    "events": ["bankruptcy"],
}
#: The codes of the labelling guide that are adverse by their nature.
ADVERSE_CODES = EVENT_TYPES[: EVENT_TYPES.index("results_good")]


def labelled(text: str, *names: str, level: str = "material") -> Example:
    """Returns a text with the level of each named party, at its first occurrence."""
    targets = tuple(LabelledTarget(text.index(name), text.index(name) + len(name), level=level) for name in names)
    return Example(text, "risk", targets=targets)


def effects_on(bundle: Path, *examples: Example) -> dict[str, ChangeEffect]:
    """Returns the effect of each change on the verdicts of a bundle."""
    effects = measure_robustness(bundle, examples, ["Globex Inc"], THRESHOLD, threads=1)
    return {effect.change: effect for effect in effects}


def test_the_pairs_are_fifty_and_no_text_is_repeated() -> None:
    pairs = read_pairs()
    assert len(pairs) == 50
    texts = [text for pair in pairs for text in (pair.adverse, pair.averted)]
    assert len(set(texts)) == 100
    assert len({pair.target for pair in pairs}) == 50


def test_the_pairs_cover_every_adverse_event_type() -> None:
    assert {event for pair in read_pairs() for event in pair.events} == set(ADVERSE_CODES)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"target": "Globex"}, "must name 'Globex' exactly once"),
        ({"averted": "Acme Corp says Acme Corp is well"}, "must name 'Acme Corp' exactly once"),
        ({"events": ["bankrupt"]}, "unknown event types: bankrupt"),
        ({"events": []}, "at least 1 item"),
        ({"level": "neutral"}, "'mild' or 'material'"),
        ({"source": "a data set"}, "Extra inputs are not permitted"),
    ],
)
def test_a_line_that_is_no_pair_is_named_with_the_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(PAIR) + "\n" + json.dumps(PAIR | change) + "\n")
    with pytest.raises(TrainingDataError, match=r"pairs\.jsonl:2: not a pair") as raised:
        read_pairs(path)
    assert reason in str(raised.value)


def test_changes_move_the_targets_with_the_text_and_keep_their_labels() -> None:
    example = labelled("Kroger shares plunge as Macy's weighs takeover", "Kroger", "Macy's")
    for name, change in changes(["Globex Inc"], random.Random(3)).items():
        changed = change(example)
        assert changed.text != example.text, name
        assert [target.level for target in changed.targets] == ["material"] * 2, name
        named = [changed.text[target.start : target.end].lower() for target in changed.targets]
        swapped = sum(new != old for new, old in zip(named, ("kroger", "macy's"), strict=True))
        assert swapped == (name == "another company's name"), name


def test_a_text_that_has_a_link_gets_no_second_one() -> None:
    example = labelled("Acme Corp plunges https://t.co/abcdefghij", "Acme Corp")
    assert with_link(example, random.Random(1)) is example


def test_a_verdict_that_only_a_changed_word_carries_flips(tiny_bundle: Path) -> None:
    """The tiny model ignores the case of letters, and does not know "bankruptcy" with two letters exchanged."""
    effects = effects_on(tiny_bundle, labelled("Acme Corp in bankruptcy", "Acme Corp"))
    typing_error = effects["typing error"]
    assert (typing_error.mentions, typing_error.flips, typing_error.flips_end_to_end) == (1, 1.0, 1.0)
    assert typing_error.mean_change > 0.5
    for unharmful in ("all capitals", "title case", "link at the end", "words of a wire"):
        assert effects[unharmful].flips == 0.0, unharmful
    assert effects["all capitals"].mean_change == 0.0


def test_texts_that_a_change_does_not_alter_and_mentions_without_level_do_not_count(tiny_bundle: Path) -> None:
    """Only the second text has a noun such as "shares" behind the name, and only one mention of it has a level."""
    shares = labelled("Acme shares plunges, Ford wins", "Acme")
    shares = Example(shares.text, "risk", targets=(*shares.targets, LabelledTarget(21, 25)))
    effects = effects_on(tiny_bundle, labelled("Acme in default", "Acme"), shares)
    assert effects["possessive"].mentions == 1
    assert effects["all capitals"].mentions == 2


def test_without_labelled_mentions_nothing_is_measured(tiny_bundle: Path) -> None:
    assert effects_on(tiny_bundle, Example("Acme Corp in default", "risk", targets=(LabelledTarget(0, 9),))) == {}


def test_a_pair_passes_if_only_its_adverse_text_is_called_adverse(tiny_bundle: Path) -> None:
    """The tiny model knows no denial, so it fails the second pair."""
    denied = PAIR | {"averted": "Acme Corp not in bankruptcy", "events": ["default"]}
    passed, failed = measure_pairs(tiny_bundle, [MinimalPair(**PAIR), MinimalPair(**denied)], threads=1)  # type: ignore[arg-type]
    assert passed.passes(THRESHOLD)
    assert passed.names_an_event
    assert not failed.passes(THRESHOLD)
    assert failed.averted >= THRESHOLD
    assert not failed.names_an_event


@pytest.mark.parametrize(
    ("adverse", "averted", "passes"), [(0.5, 0.49, True), (0.49, 0.1, False), (0.9, 0.5, False), (0.1, 0.9, False)]
)
def test_the_threshold_itself_is_adverse(adverse: float, averted: float, passes: bool) -> None:
    assert PairOutcome(MinimalPair(**PAIR), adverse, averted, ()).passes(0.5) is passes  # type: ignore[arg-type]


def test_cases_are_read_with_the_levels_that_are_right(tmp_path: Path) -> None:
    (tmp_path / "averted.jsonl").write_text(
        '{"id": "1", "text": "Globex wins", "level": "favourable or neutral, never adverse"}\n'
    )
    (case,) = read_cases(tmp_path)
    assert (case.file, case.levels, case.is_adverse) == ("averted.jsonl", ("neutral", "favourable"), False)
    (tmp_path / "credit_events.jsonl").write_text('{"id": "2", "text": "Globex sues", "level": "mild or material"}\n')
    assert [case.levels for case in read_cases(tmp_path)] == [("neutral", "favourable"), ("mild", "material")]


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"no averted\.jsonl and no credit_events\.jsonl in .*--cases"):
        read_cases(tmp_path)


@pytest.mark.parametrize("row", [{"text": "Acme wins", "level": "neutral"}, {"text": "Globex wins", "level": "good"}])
def test_a_case_without_the_name_or_a_level_is_refused(tmp_path: Path, row: dict[str, str]) -> None:
    (tmp_path / "averted.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(TrainingDataError, match="expected a text that names Globex and its level"):
        read_cases(tmp_path)


def test_a_case_is_right_if_its_verdict_is(tiny_bundle: Path) -> None:
    cases = [
        FieldCase("credit_events.jsonl", "Globex in default", ("material",)),
        FieldCase("averted.jsonl", "record profit: Globex wins", ("neutral", "favourable")),
        FieldCase("averted.jsonl", "Globex not in default", ("neutral", "favourable")),
    ]
    adverse, favourable, denied = measure_cases(tiny_bundle, cases, threads=1)
    assert [outcome.passes(THRESHOLD) for outcome in (adverse, favourable, denied)] == [True, True, False]
    assert [outcome.level for outcome in (adverse, favourable, denied)] == ["material", "favourable", "material"]


def test_an_averted_case_that_is_called_adverse_fails() -> None:
    case = FieldCase("averted.jsonl", "Globex wins", ("favourable",))
    assert not CaseOutcome(case, 0.6, "favourable").passes(0.5)
    assert CaseOutcome(case, 0.4, "neutral").passes(0.5)
