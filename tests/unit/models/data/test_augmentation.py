"""Changes of training texts move the labelled spans with the text, and change nothing that the labels say."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from riskwire_models.data.augmentation import (
    Augmentation,
    Edit,
    augmented,
    edited,
    in_case,
    title_case,
    with_cashtag,
    with_other_name,
    with_possessive,
    with_typo,
    with_wire_words,
)
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import LabelledSpan, LabelledTarget
from riskwire_models.data.risk import short_name

NAMES = ("Acme", "Kohl's", "Globex Motors", "L&G", "Umbrella", "Acme Bank")
NEW_NAMES = ["Initech Corp", "Stark & Sons Inc.", "Wayne"]
WORDS = (*NAMES, "shares", "profit,", "plunge", "straße", "ﬁles", "after", "8.5%", "Acme's", "(Acme)", "gold", "…")
ALL_CHANGES = Augmentation(names=1, cashtag=1, possessive=1, wire=1, upper_case=1, title_case=1, typo=1)
SEEDS = st.integers(0, 2**32)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Draws a sentence in which some of the names are targets, some entities, and some words unknown."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
    text, targets, entities, unknown = "", [], [], []
    for word in words:
        text += draw(st.sampled_from([" ", "  ", "-"])) if text else ""
        start, end = len(text), len(text) + len(word)
        text += word
        label = draw(st.sampled_from(["target", "entity", "both", "unknown", "none"]))
        if label in ("target", "both") and word in NAMES:
            targets.append(LabelledTarget(start, end, "negative", "material", ("default",)))
        if label in ("entity", "both") and word in NAMES:
            entities.append(LabelledSpan(start, end, "ORG"))
        if label == "unknown":
            unknown.append((start, end))
    return Example(
        text,
        "risk",
        sentiment="negative",
        topic="Markets",
        targets=tuple(targets),
        entities=draw(st.sampled_from([None, tuple(entities)])),
        unknown=tuple(unknown),
        events=("unrest",),
    )


def covered(example: Example) -> list[str]:
    """Returns the texts that the spans of the targets and of the entities cover."""
    return [example.text[span.start : span.end] for span in (*example.targets, *(example.entities or ()))]


def without_places(example: Example) -> Example:
    """Returns the example without its text and positions: what remains must not change."""
    return replace(
        example,
        text="",
        targets=tuple(replace(target, start=0, end=0) for target in example.targets),
        entities=None
        if example.entities is None
        else tuple(replace(span, start=0, end=0) for span in example.entities),
        unknown=((0, 0),) * len(example.unknown),
    )


@st.composite
def edits_of(draw: st.DrawFn, length: int) -> list[Edit]:
    """Draws replacements of a text of that length, in any order; they do not overlap, and some only insert."""
    cuts = sorted(draw(st.lists(st.integers(0, length), unique=True, max_size=8)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    texts = draw(st.lists(st.text("xyz", min_size=1, max_size=3), min_size=len(pairs), max_size=len(pairs)))
    inserts = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    edits = [
        (start, start if insert else end, new) for (start, end), new, insert in zip(pairs, texts, inserts, strict=True)
    ]
    return draw(st.permutations(edits))


@given(st.data(), st.text("abcdefgh ", min_size=1, max_size=20))
def test_a_span_covers_the_characters_that_it_covered_and_no_others(data: st.DataObject, text: str) -> None:
    """A replaced character has no place in the new text; all others must be inside the span as before, or outside."""
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    edits = data.draw(edits_of(len(text)))
    changed = edited(Example(text, "risk", targets=(LabelledTarget(start, end),), unknown=((start, end),)), edits)
    (target,) = changed.targets
    assert changed.unknown == ((target.start, target.end),)
    assert 0 <= target.start < target.end <= len(changed.text)
    for position, letter in enumerate(text):
        if any(first <= position < last for first, last, _ in edits):
            continue
        moved = position + sum(len(new) - (last - first) for first, last, new in edits if last <= position)
        assert changed.text[moved] == letter
        assert (target.start <= moved < target.end) == (start <= position < end)


def test_a_replaced_span_covers_the_replacement_and_an_insertion_beside_it_stays_outside() -> None:
    example = Example("Acme falls", "risk", targets=(LabelledTarget(0, 4),), entities=(LabelledSpan(5, 10, "MISC"),))
    assert covered(edited(example, [(0, 4, "Globex Motors")])) == ["Globex Motors", "falls"]
    assert covered(edited(example, [(0, 0, "UPDATE 1-"), (4, 4, "'s"), (10, 10, ": sources")])) == ["Acme", "falls"]
    assert edited(example, []) == example


@given(examples(), SEEDS)
def test_wire_words_stay_outside_the_names(example: Example, seed: int) -> None:
    changed = with_wire_words(example, random.Random(seed))
    assert covered(changed) == covered(example)
    assert example.text in changed.text


def test_a_suffix_is_not_part_of_a_name_at_the_end() -> None:
    example = Example("Regulator fines Acme", "risk", targets=(LabelledTarget(16, 20),))
    suffixed = [with_wire_words(example, random.Random(seed)) for seed in range(40)]
    assert {covered(changed)[0] for changed in suffixed} == {"Acme"}
    assert any(changed.text.startswith("Regulator fines Acme") and changed != example for changed in suffixed)


@given(examples())
def test_a_possessive_stands_after_the_name(example: Example) -> None:
    changed = with_possessive(example)
    assert covered(changed) == covered(example)
    if changed != example:
        places = [at for at in range(len(changed.text)) if changed.text[:at] + changed.text[at + 2 :] == example.text]
        assert "'s" in {changed.text[at : at + 2] for at in places}
        assert "'s's" not in changed.text


def test_a_name_before_shares_gets_a_possessive_and_others_do_not() -> None:
    target = LabelledTarget(0, 4)
    assert with_possessive(Example("Acme shares fall", "risk", targets=(target,))).text == "Acme's shares fall"
    for text in ("Acme falls", "Acme", "Acme's shares fall", "Acmes shares fall"):
        example = Example(text, "risk", targets=(target,))
        assert with_possessive(example) == example
    example = Example("Kohl's shares fall", "risk", targets=(LabelledTarget(0, 6),))
    assert with_possessive(example) == example


@given(examples(), SEEDS)
def test_a_typo_exchanges_two_letters_outside_the_names(example: Example, seed: int) -> None:
    changed = with_typo(example, random.Random(seed))
    assert covered(changed) == covered(example)
    assert without_places(changed) == without_places(example)
    differing = [at for at, letters in enumerate(zip(example.text, changed.text, strict=True)) if len(set(letters)) > 1]
    if differing:
        first, second = differing
        assert second == first + 1
        assert example.text[first : second + 1] == changed.text[first : second + 1][::-1]


@given(examples(), st.sampled_from([str.upper, title_case]))
def test_a_change_of_case_keeps_the_letters_and_the_spans(example: Example, change: object) -> None:
    changed = in_case(example, change)  # type: ignore[arg-type]
    assert changed.text.casefold() == example.text.casefold()
    assert changed == replace(example, text=changed.text)


def test_title_case_gives_each_word_one_capital() -> None:
    assert title_case("Kohl's won't pay  the u.s. fine") == "Kohl's Won't Pay  The U.s. Fine"


def test_a_text_that_upper_case_would_lengthen_is_unchanged() -> None:
    example = Example("Acme in der Hauptstraße", "risk", targets=(LabelledTarget(0, 4),))
    assert in_case(example, str.upper) == example


@given(examples(), SEEDS)
def test_a_replaced_name_is_another_company_wherever_the_name_occurred(example: Example, seed: int) -> None:
    changed = with_other_name(example, NEW_NAMES, random.Random(seed))
    assert without_places(changed) == without_places(example)
    if changed == example:
        return
    new_names = {short_name(name) for name in NEW_NAMES}
    if example.text.isupper():
        new_names = {name.upper() for name in new_names}
    pairs = list(zip(covered(example), covered(changed), strict=True))
    (old,) = {before for before, after in pairs if after in new_names}
    (new,) = {after for before, after in pairs if before == old}
    pattern = rf"(?<!\w){re.escape(old)}(?!\w)"
    assert all(after == re.sub(pattern, new, before) for before, after in pairs)
    assert changed.text == re.sub(pattern, new, example.text)


@given(examples(), SEEDS)
def test_at_most_one_name_becomes_a_cashtag(example: Example, seed: int) -> None:
    changed = with_cashtag(example, random.Random(seed))
    assert without_places(changed) == without_places(example)
    pairs = set(zip(covered(example), covered(changed), strict=True))
    tags = {(before, after) for before, after in pairs if before != after}
    assert len(changed.text.split("$")) - len(example.text.split("$")) <= 1
    for before, after in tags:
        letters, tag = re.findall("[A-Z]", before.upper()), re.search(r"\$([A-Z]{2,4})\b", after)
        assert tag is not None
        assert tag[1][0] in letters
        assert set(tag[1]) <= set(letters)


def test_names_in_a_text_with_a_link_are_not_replaced() -> None:
    """A link might hold the name too."""
    example = Example("Acme falls https://t.co/Acme", "risk", targets=(LabelledTarget(0, 4),))
    assert with_other_name(example, NEW_NAMES, random.Random(1)) == example
    assert with_cashtag(example, random.Random(1)) == example


def test_a_name_in_an_upper_case_text_becomes_an_upper_case_name() -> None:
    example = Example("ACME DEFAULTS", "risk", targets=(LabelledTarget(0, 4),))
    assert with_other_name(example, ["Initech Corp"], random.Random(1)).text == "INITECH DEFAULTS"


@given(examples(), SEEDS)
def test_all_changes_together_keep_the_labels_and_the_words_under_the_spans(example: Example, seed: int) -> None:
    changed = augmented(example, ALL_CHANGES, NEW_NAMES, random.Random(seed))
    assert without_places(changed) == without_places(example)
    new_names = "|".join(re.escape(short_name(name)) for name in NEW_NAMES)
    for before, after in zip(covered(example), covered(changed), strict=True):
        allowed = rf"{re.escape(before)}|{new_names}|\$[A-Z]{{2,4}}"
        # A name may hold another name: "Acme Bank" holds "Acme".
        held = rf"(?:{new_names}|\$[A-Z]{{2,4}}) Bank"
        assert re.fullmatch(rf"{allowed}|{held}", after, re.IGNORECASE), (before, after)


@given(examples(), SEEDS)
def test_the_same_generator_gives_the_same_changes(example: Example, seed: int) -> None:
    first, second = (augmented(example, ALL_CHANGES, NEW_NAMES, random.Random(seed)) for _ in range(2))
    assert first == second


@given(examples(), SEEDS)
def test_without_chances_nothing_changes(example: Example, seed: int) -> None:
    assert augmented(example, Augmentation(), NEW_NAMES, random.Random(seed)) == example


def test_each_change_is_made_as_often_as_its_chance_says() -> None:
    example = Example("Acme shares plunge", "risk", targets=(LabelledTarget(0, 4),))
    generator = random.Random(11)
    changed = [augmented(example, Augmentation(possessive=0.3), [], generator) != example for _ in range(2000)]
    assert abs(sum(changed) / 2000 - 0.3) < 0.03


def test_a_chance_above_one_is_refused() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Augmentation(wire=1.5)
