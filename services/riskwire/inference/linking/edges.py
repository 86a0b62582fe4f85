"""Corrects where a name begins and ends: titles, labels, stock codes and second names are cut off. Pure.

The model reads capitals. It takes "Toshiba Q1", "Transocean Ltd and" and "Fiat SpA and Chrysler" for one name each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from riskwire.entities.common_words import is_common_word
from riskwire.entities.family_names import is_family_name, person_end
from riskwire.inference.linking.context import is_written_small
from riskwire.inference.linking.parties import is_no_party
from riskwire.inference.linking.places import country, nationality
from riskwire.inference.linking.publishers import is_publisher, label_end
from riskwire.inference.model.named_spans import NamedSpan, trimmed

_OWNER = re.compile(r"([A-Z][\w.&-]*(?: [A-Z][\w.&-]*){0,3}?)(?:['’]s|(?<=s)['’])\s+(?=[A-Z])")
"""A country or company that a name follows: "Britain's Financial Services Authority", "General Motors' Saab"."""
_BEFORE = re.compile(
    r"(?:(?:The|the|of|and|for|(?:Democratic|Republican)(?= Senate| House)|"
    r"ex|Ex|former|Former|daily|weekly|newspaper|magazine|state-owned|State-owned|state-run|"
    r"State-run|privately held|Sen\.?|Rep\.?|Gov\.?|Mrs?\.?|Ms\.?|Dr\.(?= )|"
    r"(?:[A-Z][\w.]*(?:[ -][A-Z][\w.]*){0,2})-(?:based|owned|backed|listed|led))[ -]+)+(?=[A-Z\d])"
)
_TITLES = (
    r"CEO|CFO|COO|CTO|CIO|CEOs|Chief|Chairman|Chairwoman|Chair|President|Vice|VP|Director|Managing|"
    r"Executive(?! Board)|Governing|Secretary|Commissioner|"
    r"Governor|Gov|Sen|Senator|Rep|Congressman|Democrat|Republican|Judge|Justice(?! Department| Dept| Ministry)|"
    r"Spokes\w+|analysts?|Analysts?|economists?|Economist(?=\s)|"
    r"General Counsel|Deputy|Acting|Assistant|Undersecretary|Finance Director|Finance Chief|Treasurer|Founder|"
    r"Heir|Heiress|Coach"
)
_AFTER = re.compile(
    rf"(?<=[\w.)])(?:,?\s+(?:(?:{_TITLES})\b.*"
    r"|(?:[QH][1-4]|FY|[1-4](?:st|nd|rd|th)[ -](?:qtr|quarter)|IPOs?|TARP|TALF|CDS|LBO|M&A|EPS|No|Nos|Says|Said|"
    r"Sees|To|Vs)\b.*"
    r"|\([A-Z&]*|(?:&|[a-z][a-z'-]*(?:\s+[a-z][a-z'-]*)*)"
    r"|(?:January|February|March|April|June|July|August|September|October|November|December|(?:Mon|Tues|Wednes|"
    r"Thurs|Fri)day)\b.*"
    r"|[A-Z\d_]{1,10}[a-z]{0,2}\.(?:[A-Z]{1,4}|[A-Z]{1,7}\.[A-Z]{1,3})|[A-Z]{1,6}\.(?:[A-Z]{1,2})?)|\s*[&/+-]|-(?:based|led|backed|owned|"
    r"style|listed|run))\s*$",
    re.DOTALL,
)
_AFTER_FORM = re.compile(
    r"(?<=\s)(?:Inc|Corp|Ltd|LLC|LLP|Plc|PLC|plc|NV|AG|SpA|SA|Co)\b\.?(?=\s+(?!(?:of|and|&|de|Inc|Corp|Ltd|LLC|"
    r"LP|LLP|PLC|Plc|KG|AG|"
    r"SA|NV|Co|Group|Holdings?)\b)\S)"
)
_REST = re.compile(
    r" (?:(?:for|of|on|and) (?:the )?(?:[A-Z][a-z]+ ){0,2})?(?:Administration|Agency|Association|Authority|Bank|"
    r"Board|Bureau|Cent(?:er|re)|"
    r"Commission|Committee|Conference|Congress|Corp|Corporation|Council|Court|Department|Exchange|Facility|"
    r"Federation|Foundation|Fund|Funds|"
    r"Group|Holdings|Inc|Index|Institute|Insurance|League|Ltd|Market|Markets|Ministry|Office|Organi[sz]ation|"
    r"Partners|Party|School|"
    r"Securities|Services|Advisers|Advisors|Associates|Capital|Management|Research|Economics|Systems|"
    r"Technologies|Communications|Financial|Resources|Pharmaceuticals|Industries|Solutions|Networks|Airlines|"
    r"Airways|Motors|Properties|Show|Society|Subcommittee|Survey|Trade|Trust|Union|University|Workers|Act|Bill|Fair|"
    r"Forum|Summit|Prize)\b"
)
"""What a name goes on with that the model has cut off: "Korean Fair Trade | Commission"."""
_CODE = re.compile(r"[A-Z\d_]{2,8}[a-z_]{0,2}[A-Za-z\d]{0,3}\.[A-Z]{1,3}|[A-Z]{2,5}\.|[A-Z]*\d{3,}[A-Z\d]*")
_CODE_AFTER = re.compile(r"\.[A-Z]{1,3}\b")
_SHARE_CLASS = re.compile(r"[A-Z]{2,}[a-z]{1,2}\.?")
_MODEL = re.compile(r"[A-Z]{3}|i[A-Z][a-z]+")
_INSTRUMENTS = frozenset(
    {"ADR", "ADRs", "ADS", "bonds", "Bonds", "shares", "Shares", "stock", "Stock", "notes", "Notes", "unit", "Unit"}
)
"""Words for securities and parts of a company."""
_FORMED = re.compile(r"\b(?:LP|Inc|Corp|Ltd|LLC|Plc|PLC|NV|AG|SpA|SA|Co)\.?$")
_HYPHENATED = re.compile(r"(?:-[A-Z][a-z]+|&[A-Z]\w*)\b")
"""What a name goes on with after a hyphen: "Petro-Canada"."""
_INITIALS = re.compile(r"[A-Z]\.[A-Z]\.?")
_SURNAME = re.compile(r"\.? [A-Z][a-z]+\b")
_OFFICES = ("Attorney", "Inspector", "Solicitor")
_LAST_WORD = re.compile(r"\s[A-Z]{2,}[a-z]{0,2}$")
_SEATED = ("Bank", "University", "Bureau", "Institute", "Department", "Ministry", "Museum")
_SEAT = re.compile(r" of (?:the )?[A-Z][\w'-]*(?: [A-Z][\w'-]*){0,2}")
"""The place that belongs to the name of a bank: "First Bank of Beverly Hills"."""
_SMALL_WORD = re.compile(r"[\"“'‘]?\b[a-z]{3,}\b[\"”'’]?(?!['’])")
_TIMES = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)s?\b"
)
_NO_NAME = (
    rf"(?:(?:{_TITLES}|Superintendent|Comptroller|Mayor|Minister|Prime|Foreign|Attorney|Inspector|General|Professor|"
    rf"Mrs?|Ms|Dr|Gen|Adm|Col|Lt|Capt)\b|{_TIMES}|[A-Z\d]+[a-z]?\b(?=\.[A-Z])|"
    r"(?:The|By|And|But|For|In|On|At|As|With|From|Of|To|If|When|While|After|Before|Since|Both|That|This|It|He|She|We)\b)"
)
"""Words with a capital that are no part of the name beside them: titles, times, stock codes, openings of a clause."""
_NEXT_WORDS = re.compile(
    rf"(?: (?!{_NO_NAME})[A-Z][a-z][\w&-]*+)++(?!\.[A-Za-z]| [A-Z])"
    r"(?<! Show)(?<! Fair)(?<! Report)(?<! Summit)(?<! Index)"
)
"""The rest of a name, but not that of an event or a thing: "Auto Show"."""
_PREVIOUS_WORD = re.compile(rf"(?:\b(?:The|[a-z][a-z-]*)|[,)]) (?!{_NO_NAME})([A-Z][a-z][\w&]*+) $")
_FIRST_WORD = re.compile(rf"(?!{_NO_NAME})[A-Z][a-z][\w&-]+")
"""A word with which a name, or its second half, may begin."""
_GLUED = re.compile(r"[A-Z]{3,}(?=and$)")
"""A name that the text has run together with the next word: "CITand"."""
_PERSON_BEFORE = re.compile(r"[A-Z][a-z]+ ([A-Z][a-z]+) (?=[A-Z]{2,5} (?:Inc|Corp|Co|Ltd|Plc|Group|Holdings)$)")
"""A person before the company that he speaks for: "Erik Olsson RSC Holdings"."""
_MAX_WORD = 20
"""Characters before a word in which the word before it is sought."""
_IN_NAMES = frozenset(
    {"and", "the", "for", "del", "der", "des", "van", "von", "los", "las", "les", "aux", "per", "ten", "zur"}
)
"""Small words that are part of names and common words of English, too."""
_JOINT = re.compile(r"\s+(?:and|&)\s+|\s*[-–/,]\s*")


def corrected(sentence: str, start: int, end: int, known: Callable[[str], object]) -> Iterator[tuple[int, int]]:
    """Yields the spans of the names in a span that the model took for one; none if nothing remains.

    A label at the start of the sentence is cut off; so are words before a name ("the", "ex-", "London-based"), titles,
    quarters and joining words after it, stock codes without brackets, and what follows a legal form. An owner
    ("General Motors' Saab") and names that "and" or a hyphen joins become names of their own.

    Args:
        known: returns a true value for a name of the tables or the watchlist, which is never cut.
    """
    start, end = max(start, label_end(sentence)), _whole_end(sentence, start, end)
    if _is_code(sentence, start, end):
        return
    listed = _listed_names(sentence, start, end, known)
    if len(listed) > 1 or known(sentence[start:end]) or country(sentence[start:end]):
        yield from listed
        return
    owner = _OWNER.match(sentence, start, end)
    if owner and (country(owner[1]) or known(owner[1])):
        yield start, owner.end(1)
        start = owner.end()
    before = _BEFORE.match(sentence, start, end)
    if before:
        start = before.end()
    first = sentence[start:end].partition(" ")[0]
    if (country(first) or nationality(first)) and known(sentence[start + len(first) + 1 : end]):
        start += len(first) + 1
    while not known(sentence[start:end]):
        form = _AFTER_FORM.search(sentence, start, end)
        after = _AFTER.search(sentence, start, end)
        cut = min(form.end() if form else end, after.start() if after else end)
        if cut >= end or cut <= start:
            break
        end = cut
    start, end = trimmed(sentence, start, end)
    while start < end and not known(sentence[start:end]) and (rest := _REST.match(sentence, end)):
        end = rest.end()
    if not known(sentence[start:end]) and (rest := _HYPHENATED.match(sentence, end)) and start < end:
        end = rest.end()
    text = sentence[start:end]
    if _CODE.fullmatch(text) and not known(text):
        return
    start, end = _without_neighbour(sentence, start, end, known)
    text = sentence[start:end]
    if " " in text and not known(text):
        end = start + _without_model(text, known)
    for part_start, part_end in _without_small_words(sentence, start, end):
        yield from _parts(sentence, part_start, part_end, known)


def joined_names(
    sentence: str, names: Sequence[NamedSpan], known: Callable[[str], object]
) -> Iterator[tuple[int, int, str]]:
    """Yields the start, end and kind of the names of the model, two organisations side by side as one.

    The model splits rare names: "Stuttgarter | Zeitung". A name of the tables, a publisher and a country stay apart
    from the name beside them.
    """
    place = 0
    while place < len(names):
        name = names[place]
        following = names[place + 1] if place + 1 < len(names) else None
        place += 1
        if following is not None and _are_one(sentence, name, following, known):
            yield name.start, following.end, name.kind
            place += 1
        else:
            yield name.start, name.end, name.kind


def _are_one(sentence: str, first: NamedSpan, second: NamedSpan, known: Callable[[str], object]) -> bool:
    """Returns whether two names of the model are the halves of one."""
    if sentence[first.end : second.start] != " " or not first.kind == second.kind == "ORG":
        return False
    word, rest = sentence[first.start : first.end], sentence[second.start : second.end]
    if not (_FIRST_WORD.fullmatch(word) and _FIRST_WORD.match(rest)) or not is_written_small(sentence):
        return False
    if is_publisher(word) or country(word) or nationality(word):
        return False
    return not (known(word) or known(rest))


def whole_name(sentence: str, start: int, end: int, first: int, last: int) -> tuple[int, int]:
    """Returns the span of an organisation with the capitalised words beside it that belong to its name.

    The model cuts rare names: "Boston Newspaper | Guild", "Dollar | Thrifty". Capitals show the whole name only in a
    sentence that is not in Title Case.

    Args:
        first: the end of the name before it, from which on words may belong to it.
        last: the start of the name after it.
    """
    after = sentence[end : end + 2]
    goes_on = _NEXT_WORDS.match(sentence, end) if after[:1] == " " and after[1:].isupper() else None
    before = sentence.rfind(" ", first, start - 1) + 1
    begins = (
        _PREVIOUS_WORD.search(sentence, max(first, before - _MAX_WORD), start)
        if before > 0 and sentence[before].isupper()
        else None
    )
    text = sentence[start:end]
    if not (goes_on or begins) or text.isupper() or is_publisher(text) or not is_written_small(sentence):
        return start, end
    if goes_on and goes_on.end() <= last:
        end = goes_on.end()
    if begins and not (country(begins[1]) or nationality(begins[1]) or is_no_party(text)):
        start = begins.start(1)
    return start, end


def _without_neighbour(sentence: str, start: int, end: int, known: Callable[[str], object]) -> tuple[int, int]:
    """Returns the span of a name without the word or person that runs into it: "CITand", "Erik Olsson RSC Holdings"."""
    if known(sentence[start:end]):
        return start, end
    if (glued := _GLUED.match(sentence[start:end])) and known(glued[0]):
        return start, start + glued.end()
    if (person := _PERSON_BEFORE.match(sentence[start:end])) and is_family_name(person[1]):
        return start + person.end(), end
    return start, end


def _listed_names(sentence: str, start: int, end: int, known: Callable[[str], object]) -> list[tuple[int, int]]:
    """Returns the spans of the names that commas join if all are known, else the span: "Fiat, Chrysler" are two."""
    names = sentence[start:end].split(", ")
    if len(names) == 1 or not all(_is_known(name, known) for name in names):
        return [(start, end)]
    spans = []
    for name in names:
        spans.append((start, start + len(name)))
        start += len(name) + len(", ")
    return spans


def _whole_end(sentence: str, start: int, end: int) -> int:
    """Returns where a name ends with its place, office or surname, and without a stock code: "E.F. Hutton"."""
    if (person := person_end(sentence, start, end)) > end:
        return person
    if sentence.endswith(_SEATED, start, end) and (seat := _SEAT.match(sentence, end)):
        return seat.end()
    if sentence.endswith(_OFFICES, start, end) and sentence.startswith(" General", end):
        return end + len(" General")
    if _INITIALS.fullmatch(sentence, start, end) and (surname := _SURNAME.match(sentence, end)):
        return surname.end()
    code = _LAST_WORD.search(sentence, start, end)
    return code.start() if code and _CODE_AFTER.match(sentence, end) else end


def _is_code(sentence: str, start: int, end: int) -> bool:
    """Returns whether a span is a stock code or part of one: "FNM.P", and "SOXX" in ".SOXX"."""
    text = sentence[start:end]
    if not text.replace(".", "").replace("_", "").isalnum() or not text[:2].isupper():
        return False
    in_code = (text.isupper() or _SHARE_CLASS.fullmatch(text)) and (
        sentence[start - 1 : start] == "." or _CODE_AFTER.match(sentence, end - text.endswith(".")) is not None
    )
    return bool(in_code)


def _without_model(text: str, known: Callable[[str], object]) -> int:
    """Returns the length of a name without a model or an instrument after it: "Mazda 3", "Toyota ADRs".

    Initials after a common word are no model unless they are a known thing: "Ford SUV", but not "Cat DDO".
    """
    words = text.split()
    for count in range(len(words) - 1, 0, -1):
        name, rest = " ".join(words[:count]), words[count:]
        if known(name) == "product" and not is_common_word(name):
            return len(name)
        if known(name) and (
            known(" ".join(rest)) == "product"
            or all(
                any(map(str.isdigit, word))
                or word in _INSTRUMENTS
                or (_MODEL.fullmatch(word) and (not word.isupper() or not is_common_word(name) or is_no_party(word)))
                for word in rest
            )
        ):
            return len(name)
    return len(text)


def _without_small_words(sentence: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yields the names before and after common words in a span: "Rio Tinto" and "Cloud Peak", which "unit" joins."""
    for word in _SMALL_WORD.finditer(sentence, start, end) if sentence.find(" ", start, end) >= 0 else ():
        plain = word[0].strip("\"“”'‘’")
        if plain not in _IN_NAMES and is_common_word(plain) and sentence[word.end() : word.end() + 1].isspace():
            before = trimmed(sentence, start, word.start())
            if before[0] < before[1]:
                yield before
            start = trimmed(sentence, word.end(), end)[0]
    if start < end:
        yield start, end


def _parts(sentence: str, start: int, end: int, known: Callable[[str], object]) -> Iterator[tuple[int, int]]:
    """Yields the two names that "and", a hyphen or a slash joins, if both are known; otherwise the span itself."""
    text = sentence[start:end]
    if not known(text):
        for joint in _JOINT.finditer(text):
            first, second = text[: joint.start()], text[joint.end() :]
            formed = _FORMED.search(first) is not None and second[:1].isupper()
            if (_is_known(second, known) and (formed or _is_known(first, known))) or (
                formed and _FORMED.search(second)
            ):
                yield start, start + joint.start()
                yield start + joint.end(), end
                return
    if start < end:
        yield start, end


def _is_known(text: str, known: Callable[[str], object]) -> bool:
    return len(text) > 1 and text[0].isupper() and bool(country(text) or known(text))
