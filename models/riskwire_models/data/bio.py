"""Reads BIO files and converts their tags to the conventions of CoNLL-2003.

Under these conventions a title is not part of a person's name, and a nationality is MISC. Twitter handles are not
trained on, since the sets tag them in different ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from riskwire_models.data.examples import Example
from riskwire_models.data.labels import ENTITY_TAGS, LabelledSpan, spans_from_tags
from riskwire_models.data.text import unit_hash
from riskwire_models.errors import TrainingDataError

#: Words that the Groningen set tags as part of a person, in front of the name.
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
_DIRECTIONS = {"north", "south", "west", "east", "latin", "central", "saudi", "sri", "new"}
#: A tweet in which a larger share of the words are handles is skipped.
MAX_HANDLE_SHARE = 0.34


def read_bio(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Yields the sentences of a ``token<TAB>tag`` file as (words, tags).

    Raises:
        TrainingDataError: the file is missing, or a line has a different form; the message names the line.
    """
    if not path.is_file():
        raise TrainingDataError(f"no data file {path}: pass the folder that holds it with --data")
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
                raise TrainingDataError(
                    f"{path}:{number}: expected token<TAB>tag with a tag of {ENTITY_TAGS}, got {line!r}"
                )
            words.append(word.strip() or "\N{REPLACEMENT CHARACTER}")
            tags.append(tag)
    if words:
        yield words, tags


def without_titles(words: Sequence[str], tags: Sequence[str]) -> list[str]:
    """Returns the tags without titles in front of persons: ``President Bush`` → ``Bush``; a title alone becomes O."""
    repaired = list(tags)
    for start, end, kind in spans_from_tags(tags):
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
    """Returns the tags with nationalities that are tagged as places (``Iraqi``, ``South Korean``) as MISC."""
    repaired = list(tags)
    for start, end, kind in spans_from_tags(tags):
        lower = [word.lower() for word in words[start:end]]
        is_nationality_length = len(lower) == 1 or (len(lower) == 2 and lower[0] in _DIRECTIONS)
        if kind == "LOC" and lower[-1] in DEMONYMS and is_nationality_length:
            repaired[start:end] = ["B-MISC"] + ["I-MISC"] * (end - start - 1)
    return repaired


def handle_words(words: Sequence[str]) -> list[bool]:
    """Returns, for each word, whether it is part of a Twitter handle: ``@x``, or ``@`` and the word after it."""
    return [
        word.startswith("@") or (position > 0 and words[position - 1] == "@") for position, word in enumerate(words)
    ]


def example_from_words(words: Sequence[str], tags: Sequence[str], source: str) -> Example:
    """Returns the words joined by single spaces, with entities as character spans and handles as unknown ranges."""
    starts: list[int] = []
    offset = 0
    for word in words:
        starts.append(offset)
        offset += len(word) + 1
    entities = tuple(
        LabelledSpan(starts[first], starts[last - 1] + len(words[last - 1]), kind)
        for first, last, kind in spans_from_tags(tags)
    )
    unknown = tuple(
        (start, start + len(word))
        for start, word, is_handle in zip(starts, words, handle_words(words), strict=True)
        if is_handle
    )
    return Example(" ".join(words), source, entities=entities, unknown=unknown)


def read_entities(path: Path, source: str, *, share: float = 1.0) -> Iterator[Example]:
    """Yields the sentences of a file with all their entities, in the tag conventions of CoNLL-2003.

    Args:
        path: a BIO file.
        source: name of the data set, which decides how the tags are converted.
        share: part of the sentences to read, chosen by a hash of their text.
    """
    for raw_words, raw_tags in read_bio(path):
        if share < 1.0 and unit_hash(" ".join(raw_words), "sub-sample") >= share:
            continue
        if sum(handle_words(raw_words)) > MAX_HANDLE_SHARE * len(raw_words):
            continue
        tags = without_titles(raw_words, raw_tags) if source == "gmb" else raw_tags
        if source in {"gmb", "btc", "wnut"}:
            tags = nationalities_as_misc(raw_words, tags)
        words = ["http" if word.startswith(("http://", "https://")) else word for word in raw_words]
        yield example_from_words(words, tags, source)
