"""Changes texts as feeds, wires and writers do, without changing what they say of anyone.

Each change is made with its own probability (`Augmentation`). The labelled spans move with the text.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from riskwire_models.data.examples import Example
from riskwire_models.data.headline_names import certain_names
from riskwire_models.data.labels import LabelledSpan, LabelledTarget
from riskwire_models.data.risk import short_name

_PREFIXES = (
    "UPDATE 1-", "UPDATE 2-", "UPDATE 3-", "WRAPUP 1-", "RPT-", "BRIEF-", "EXCLUSIVE-", "Exclusive: ", "CORRECTED-",
    "ANALYSIS-", "FACTBOX-", "BREAKING: ", "JUST IN: ", "Update: ", "Report: ", "*",
)  # fmt: skip
_SUFFIXES = (
    ": sources",
    " - sources",
    " -source",
    ": report",
    " - WSJ",
    " - FT",
    ": paper",
    " - Bloomberg",
    ": filing",
)
_NOUNS_AFTER_POSSESSIVE = frozenset(
    """
    shares stock profit profits results revenue ceo chief chairman unit debt bonds earnings sales board
    """.split()  # noqa: SIM905
)
_WORD = re.compile(r"[A-Za-z]{5,}")

#: A replacement of the characters from start to end.
Edit = tuple[int, int, str]


class Augmentation(BaseModel):
    """The probability of each change of a text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: float = Field(0.0, ge=0, le=1, description="a labelled organisation gets another company's name")
    cashtag: float = Field(0.0, ge=0, le=1, description="a labelled organisation is written as a cashtag")
    possessive: float = Field(0.0, ge=0, le=1, description="'X shares' becomes 'X's shares'")
    wire: float = Field(0.0, ge=0, le=1, description="a prefix such as 'UPDATE 2-' or a suffix such as ': sources'")
    upper_case: float = Field(0.0, ge=0, le=1, description="all capitals")
    title_case: float = Field(0.0, ge=0, le=1, description="Each Word Has A Capital")
    typo: float = Field(0.0, ge=0, le=1, description="two letters of a word outside the names change places")


def augmented(example: Example, chances: Augmentation, names: Sequence[str], generator: random.Random) -> Example:
    """Returns the example with some changes, drawn from ``generator``.

    Args:
        names: company names to choose from; empty if names are never replaced.
    """
    steps: tuple[tuple[float, Callable[[Example], Example]], ...] = (
        (chances.names if names else 0.0, lambda item: with_other_name(item, names, generator)),
        (chances.cashtag, lambda item: with_cashtag(item, generator)),
        (chances.possessive, with_possessive),
        (chances.typo, lambda item: with_typo(item, generator)),
        (chances.title_case, lambda item: in_case(item, title_case)),
        (chances.upper_case, lambda item: in_case(item, str.upper)),
        (chances.wire, lambda item: with_wire_words(item, generator)),
    )
    for chance, change in steps:
        if generator.random() < chance:
            example = change(example)
    return example


def edited(example: Example, edits: Iterable[Edit]) -> Example:
    """Returns the example with ranges of its text replaced. Spans move; a span that an edit covers is stretched to it.

    An insertion at the start or the end of a span stays outside it.

    Args:
        edits: replacements that do not overlap each other.
    """
    ordered = sorted(edits)
    parts: list[str] = []
    position = 0
    for start, end, new in ordered:
        parts.extend((example.text[position:start], new))
        position = end
    parts.append(example.text[position:])

    def moved(offset: int, *, is_end: bool) -> int:
        shift = 0
        for start, end, new in ordered:
            is_insertion_behind = is_end and start == offset
            if end <= offset and not is_insertion_behind:
                shift += len(new) - (end - start)
            elif start < offset < end:
                return start + shift + (len(new) if is_end else 0)
        return offset + shift

    def moved_target(target: LabelledTarget) -> LabelledTarget:
        return replace(target, start=moved(target.start, is_end=False), end=moved(target.end, is_end=True))

    def moved_span(span: LabelledSpan) -> LabelledSpan:
        return replace(span, start=moved(span.start, is_end=False), end=moved(span.end, is_end=True))

    return replace(
        example,
        text="".join(parts),
        targets=tuple(moved_target(target) for target in example.targets),
        entities=None if example.entities is None else tuple(moved_span(span) for span in example.entities),
        unknown=tuple((moved(start, is_end=False), moved(end, is_end=True)) for start, end in example.unknown),
    )


def with_other_name(example: Example, names: Sequence[str], generator: random.Random) -> Example:
    """Returns the example with one labelled organisation replaced by another company's name wherever it occurs."""
    name = _an_organisation(example, generator)
    if name is None:
        return example
    new = short_name(generator.choice(names))
    if example.text.isupper() and len(new.upper()) == len(new):
        new = new.upper()
    return edited(example, [(start, start + len(name), new) for start in _occurrences(example.text, name)])


def with_cashtag(example: Example, generator: random.Random) -> Example:
    """Returns the example with one labelled organisation written as a cashtag, such as ``$KSS`` for ``Kohl's``."""
    name = _an_organisation(example, generator)
    letters = re.sub(r"[^A-Za-z]", "", name or "").upper()
    if name is None or len(letters) < 2:
        return example
    tag = "$" + letters[0] + "".join(generator.sample(letters[1:], min(len(letters) - 1, generator.randint(1, 3))))
    start = _occurrences(example.text, name)[0]
    return edited(example, [(start, start + len(name), tag)])


def with_possessive(example: Example) -> Example:
    """Returns the example with ``X's shares`` for ``X shares``, if such a noun follows a labelled name."""
    for target in example.targets:
        following = example.text[target.end :].split(maxsplit=1)
        if (
            following
            and example.text[target.end] == " "
            and following[0].lower().strip(".,:") in _NOUNS_AFTER_POSSESSIVE
            and not example.text[target.start : target.end].endswith(("'s", "’s"))
        ):
            # The new characters stand after the name, so no span grows.
            return edited(example, [(target.end, target.end + 1, "'s ")])
    return example


def with_wire_words(example: Example, generator: random.Random) -> Example:
    """Returns the example with a prefix or a suffix of a news wire."""
    if generator.random() < 0.6:
        return edited(example, [(0, 0, generator.choice(_PREFIXES))])
    end = len(example.text)
    return edited(example, [(end, end, generator.choice(_SUFFIXES))]) if not example.text.endswith("…") else example


def with_typo(example: Example, generator: random.Random) -> Example:
    """Returns the example with two neighbouring letters exchanged in one word that is part of no labelled span."""
    spans = [(target.start, target.end) for target in example.targets]
    spans += [(entity.start, entity.end) for entity in example.entities or ()]
    words = [
        word
        for word in _WORD.finditer(example.text)
        if not any(word.start() < end and word.end() > start for start, end in spans)
    ]
    if not words:
        return example
    word = generator.choice(words)
    position = word.start() + generator.randint(1, len(word[0]) - 3)
    letters = example.text[position : position + 2]
    return edited(example, [(position, position + 2, letters[::-1])])


def title_case(text: str) -> str:
    """Returns the text with a capital at the start of each word, and there only: ``Kohl's``, not ``Kohl'S``."""
    return string.capwords(text, " ")


def in_case(example: Example, change: Callable[[str], str]) -> Example:
    """Returns the example in capitals or in title case; unchanged if that would change its length."""
    text = change(example.text)
    return replace(example, text=text) if len(text) == len(example.text) else example


def _an_organisation(example: Example, generator: random.Random) -> str | None:
    """Returns the name of a labelled organisation, or None if there is none or a link might hold it."""
    if "http" in example.text:
        return None
    names = [example.text[span.start : span.end] for span in certain_names(example.text, example.targets)]
    return generator.choice(names) if names else None


def _occurrences(text: str, name: str) -> list[int]:
    """Returns where a name starts in a text as whole words."""
    return [match.start() for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text)] or [text.index(name)]
