"""Readers of BIO files, and the repairs their conventions need.

Conventions kept (those of CoNLL-2003): titles are no part of a person, nationalities are MISC, handles teach nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from riskwire_models.data.examples import Example
from riskwire_models.data.labels import ENTITY_TAGS, Span, spans_of_tags
from riskwire_models.data.text import unit_hash
from riskwire_models.errors import DataError

#: Words that may stand before a name in the Groningen set's persons.
TITLES = frozenset(
    """
    mr. mrs. ms. mr mrs ms dr. dr prof. sir president presidents vice prime minister ministers secretary general
    senator sen. rep. representative congressman congresswoman king queen prince princess pope chancellor ambassador
    governor mayor judge justice colonel col. lieutenant lt. major captain capt. sergeant sgt. admiral commander
    chairman spokesman spokeswoman director chief foreign defense interior finance deputy premier ayatollah imam
    archbishop bishop cardinal reverend rev. sheik sheikh of state first lady
    """.split()  # noqa: SIM905
)
DEMONYMS = frozenset(
    """
    american americans british russian russians chinese french german germans italian italians spanish japanese indian
    indians pakistani pakistanis iranian iranians iraqi iraqis israeli israelis palestinian palestinians afghan afghans
    african africans european europeans asian asians korean koreans turkish syrian syrians egyptian egyptians lebanese
    sudanese somali somalis ethiopian nigerian nigerians kenyan ukrainian ukrainians polish dutch greek greeks swedish
    norwegian danish finnish swiss austrian belgian portuguese irish scottish welsh english canadian canadians mexican
    mexicans brazilian brazilians venezuelan venezuelans colombian colombians cuban cubans haitian chilean peruvian
    bolivian argentine argentinian australian australians indonesian indonesians malaysian thai vietnamese burmese
    philippine filipino filipinos nepalese bangladeshi saudi saudis yemeni jordanian kuwaiti libyan algerian moroccan
    tunisian rwandan congolese ugandan zimbabwean serbian serb serbs croatian bosnian kosovar albanian macedonian
    bulgarian romanian hungarian czech slovak georgian armenian azerbaijani chechen kazakh uzbek tajik kyrgyz mongolian
    taiwanese tibetan kurdish kurds kurd arab arabs jewish muslim muslims christian christians islamic sunni sunnis
    shi'ite shi'ites shiite shiites catholic icelandic estonian latvian lithuanian singaporean scandinavian
    """.split()  # noqa: SIM905
)
_CARDINAL = {"north", "south", "west", "east", "latin", "central", "saudi", "sri", "new"}
#: A tweet with a larger share of handles among its words is left out.
MOST_HANDLES = 0.34


def read_bio(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Sentences of a ``token<TAB>tag`` file as (words, tags); `DataError` names the line that cannot be read."""
    if not path.is_file():
        raise DataError(f"no data file {path}: pass the folder that holds it with --data")
    words: list[str] = []
    tags: list[str] = []
    with path.open(encoding="utf-8") as lines:
        for number, raw in enumerate(lines, 1):
            line = raw.rstrip("\n")
            if not line.strip():
                if words:
                    yield words, tags
                words, tags = [], []
                continue
            word, tab, tag = line.rpartition("\t")
            if not tab or tag not in ENTITY_TAGS:
                raise DataError(f"{path}:{number}: wants token<TAB>tag with a tag of {ENTITY_TAGS}, has {line!r}")
            words.append(word.strip() or "\N{REPLACEMENT CHARACTER}")
            tags.append(tag)
    if words:
        yield words, tags


def without_titles(words: Sequence[str], tags: Sequence[str]) -> list[str]:
    """Persons without the titles in front: ``President Bush`` → ``Bush``; a lone title is no person."""
    repaired = list(tags)
    for start, end, kind in spans_of_tags(tags):
        if kind != "PER":
            continue
        first = start
        while first < end and words[first].lower() in TITLES:
            repaired[first] = "O"
            first += 1
        if start < first < end:
            repaired[first] = "B-PER"
    return repaired


def nationalities_as_misc(words: Sequence[str], tags: Sequence[str]) -> list[str]:
    """``Iraqi``, ``South Korean`` tagged as places become MISC."""
    repaired = list(tags)
    for start, end, kind in spans_of_tags(tags):
        lower = [word.lower() for word in words[start:end]]
        front_is_direction = len(lower) == 1 or (len(lower) == 2 and lower[0] in _CARDINAL)
        if kind == "LOC" and lower[-1] in DEMONYMS and front_is_direction:
            repaired[start:end] = ["B-MISC"] + ["I-MISC"] * (end - start - 1)
    return repaired


def handle_words(words: Sequence[str]) -> list[bool]:
    """Which words are, or belong to, a Twitter handle: ``@x`` or ``@`` and the word after it."""
    return [word.startswith("@") or (at > 0 and words[at - 1] == "@") for at, word in enumerate(words)]


def example_of_words(words: Sequence[str], tags: Sequence[str], source: str) -> Example:
    """Words joined by single spaces, entities as character spans, handles unknown."""
    starts: list[int] = []
    at = 0
    for word in words:
        starts.append(at)
        at += len(word) + 1
    entities = tuple(
        Span(starts[first], starts[last - 1] + len(words[last - 1]), kind) for first, last, kind in spans_of_tags(tags)
    )
    unknown = tuple(
        (start, start + len(word))
        for start, word, is_handle in zip(starts, words, handle_words(words), strict=True)
        if is_handle
    )
    return Example(" ".join(words), source, entities=entities, unknown=unknown)


def read_entities(path: Path, source: str, *, share: float = 1.0) -> Iterator[Example]:
    """Sentences with all their names, repaired as the source needs; ``share`` keeps a part of the rows by hash."""
    for raw_words, raw_tags in read_bio(path):
        if share < 1.0 and unit_hash(" ".join(raw_words), "sub-sample") >= share:
            continue
        if sum(handle_words(raw_words)) > MOST_HANDLES * len(raw_words):
            continue
        tags = without_titles(raw_words, raw_tags) if source == "gmb" else raw_tags
        if source in {"gmb", "btc", "wnut"}:
            tags = nationalities_as_misc(raw_words, tags)
        words = ["http" if word.startswith(("http://", "https://")) else word for word in raw_words]
        yield example_of_words(words, tags, source)
