"""Decides which mentions are of parties, so that they may become signals. Pure."""

from __future__ import annotations

import re

from riskwire.entities.common_words import is_common_word
from riskwire.entities.names import DESCRIPTORS, name_key
from riskwire.inference.linking.candidate import COMPANY_TYPES, LinkedMention, is_proper
from riskwire.inference.linking.context import shows_company
from riskwire.inference.linking.name_resolver import Resolution
from riskwire.inference.linking.parties import is_no_party
from riskwire.inference.linking.parties.short_names import is_family
from riskwire.inference.linking.places import is_state_of_us
from riskwire.inference.linking.publishers import is_market_or_label
from riskwire.inference.model.sentences import TextDocument
from riskwire.records import MentionType

_SEAT_AFTER = re.compile(r"(?:, (?:[A-Z][\w.]*\s?){1,3})?[- ](?:based|area|born)\b")
_VERB_AFTER = re.compile(
    r"(?:\s+and\s+others)?\s+(?:to|will|may|has|is|was|told|sold|won|lost|hit|[a-z]{2,}ed|buys|sells|cuts|sees|plans|"
    r"eyes|posts|files|names|faces?|wins|loses|"
    r"seeks|joins|opens|closes|beats|tops|misses|raises|lowers|slashes|swings|ends|starts|hires|taps|inks|gets|"
    r"makes|takes|holds|keeps|"
    r"sets|calls|asks|urges|backs|rejects|denies|agrees|offers|unveils|expects|mulls|warns|halts|recalls|"
    r"settles|launches)\b"
)
_OPENING = re.compile(r"(?:^|[.:;\"“] |- )$")
_INFLECTED = re.compile(r"(?:'?s|es|ed|ing|er|ers|ly)$")
_OF_PERSON_AFTER = re.compile(
    r"\s+(?:administration|testimony|speech|speeches|aides?|adviser|speaks|testifies|era|presidency|family|"
    r"doctrine|camp|allies|ally|supporters?|budget|nomination|nominees?|party)\b"
)
"""What follows the family name of a politician that opens a title: "Obama administration"."""
_ACCUSED_AFTER = re.compile(
    r"(?:,? \d+,)?\s+(?:(?:is|was|are|were|to be|has been|have been)\s+)?(?:charged|sued|indicted|arrested|jailed|"
    r"sentenced|convicted|accused|pleads?|pleaded|found\s+guilty|fined|banned|acquitted|extradited|subpoenaed|settles?|to\s+settle|"
    r"(?:pays?|to\s+pay)\s+(?:\$|€|£|\d)|faces?\s+(?:\w+\s+)?(?:charges?|lawsuits?|trial|prison|probe|suit|arrest|fine))\b"
)
_ACCUSED_BEFORE = re.compile(
    r"(?:^|\s)(?:sues?|charges|arrests?|indicts?|jails?|accuses?|convicts|sentences|fines|extradites|subpoenas|"
    r"(?:lawsuits?|charges|suit|case|probe|claims?|fraud)\s+against)\s+(?:(?!and\b|over\b|for\b|in\b|with\b|at\b|"
    r"on\b|to\b|of\b)[\w'’\"“”.-]+\s+){0,4}$"
)
"""Words around a person who is the accused: "Merkin charged", "California sues Madoff middleman Chais"."""
_JOINING = re.compile(r"^(?:\s+(?:of|and|&|for|the))+\s*$")
_JOINED = re.compile(r"\s(?:of|and|&)(?: the)? [A-Z]\w*\s*$")
"""The joined word at which a text breaks off: "Office of Compliance Inspections and E"."""
_MAX_REST = 60
"""Characters after a name at the end of a text."""
_LAST_WORD = re.compile(r"\s[A-Z]\w*\s*$")
"""The word with a capital at which a text breaks off: "New York State Supr"."""
_PLACE_AFTER = re.compile(r", ([A-Z]\w+(?: [A-Z]\w+)?),")
_MAX_TOWN_WORDS = 2
"""Words of the name of a town; a longer one is that of a party: "Sun American Bank of Boca Raton, Florida,"."""
_OFFICE_AFTER = re.compile(r"\s+(?:Secretary|Minister|Superintendent|Comptroller|Commissioner|Mayor|Attorney)\b")
"""An office, of whose name the name before it is a part: "New York Insurance Superintendent"."""
_CODE_BEFORE = re.compile(r"\( ?[A-Z\d]+[a-z]*\.[A-Z]{1,2} ?\) $")
"""The stock code that stands within a name: "Bombardier ( BBDb.TO ) Aerospace"."""
_JOB_BEFORE = re.compile(r"\b(?:head|director|manager)\s+(?:of|for)\s$", re.IGNORECASE)
_EMPLOYER_AFTER = re.compile(r", [A-Z]")
"""What follows a field of work in a job title: "head of Metals & Mining Australia, Deutsche Bank"."""
_PRODUCT_BEFORE = re.compile(
    r"\b(?:makers?\s+of|makes|sells|brands?|models?|drugs?|products?|versions?|shows?|films?|"
    r"games?)\b(?:\s+(?:such\s+as|like|"
    r"includ\w+|called|named|the|its|of|and|\w+,))*(?:\s+[A-Z][\w' -]*,)*\s+(?:and\s+)?(?:the\s+)?$"
)
_PRODUCT_AFTER = re.compile(
    r",?\s+(?:and\s+\w+\s+)?(?:brands?|cars?|sedans?|drugs?|cereals?|sausages?|handsets?|appliances|tissues|"
    r"trucks?|SUVs?|vehicles|"
    r"phones?|smartphones?|planes?|jets?|aircraft|hybrids?|project|field|bonds|soup|beer|chocolate|video\s+game|"
    r"films?|movies?|series|"
    r"television\s+show|TV\s+show|software|tablet|console|Bonds|Index|Show|Act|Prize|Awards?|Conference|conference|Summit|summit)\b"
    r"|(?:/[A-Z][\w-]*)?(?:\s+[A-Z][\w-]*){0,3}\s+(?:index|indexes|Index|Indices|indices)\b"
)
_BEFORE_ACCUSED = 60
"""Characters before a person in which the accusation is sought."""
_QUOTES = "'\"“”‘’"
_COMPOUND_BEFORE = re.compile(r"\b(?!Ex-|Post-|Pre-|Anti-|Non-|Pro-)[A-Z][a-z]+-$")
_QUOTE_AFTER = re.compile(r"[,.]?['\"”’](?!s\b)")
_SMALL_BEFORE = re.compile(r"\b[a-z]+\s$")
_STATE_AFTER = re.compile(
    r"\b(?:Ala|Ariz|Ark|Calif|Colo|Conn|Del|Fla|Ga|Ill|Ind|Kan|Ky|La|Md|Mass|Mich|Minn|Miss|Mo|Mont|Neb|Nev|"
    r"Okla|Ore|Pa|"
    r"Tenn|Tex|Va|Vt|Wash|Wis|Wyo|N\.[JYCHMD]|S\.[CD])\.?$"
)
_THINGS = re.compile(
    r"\b(?:Fair|Show|Autoshow|Act|Bill|Treaty|Index|Indices|Prize|Award|Awards|Cup|Games|Festival|Protocol|"
    r"Accord|Agreement|Plan|Program|"
    r"Programme|Initiative|Amendment|Rule|Rules|Survey|Day|Days|War|Wars|Crisis|Tower|Towers|Stadium|Bridge|"
    r"Highway|Avenue|Boulevard|Road|"
    r"Convention|Summit|Expo|Week|Gauge|Basin|Sea|Bay|River|Island|Islands|Mountains?|Valley|Province|County|"
    r"City|Airport|Coast|Peninsula|"
    r"Pipeline|Project|Assembly|Plant|Refinery|Mine|Field|Terminal|Tattoo|Airshow|Report|Outlook|Bulletin|"
    r"Statement|Letter|Memorial|Plaza|Square|Building|Street|Park|"
    r"Beach|Disease|Virus|Syndrome|Economy|"
    r"Framework|Directive|Regulation|Code|Law|Doctrine|Standard|Standards|Test|Tests|Question|Debt|Bond|Bonds|"
    r"Note|Notes|Futures|Prices?|Sales)$"
)
"""What the name of no party ends with: an event, a law, a place, a thing."""


def is_party(text: str, kind: MentionType, resolution: Resolution) -> bool:
    """Returns whether a name is that of a party: a country, one of the tables, or what the model takes for a company.

    A market, a label, a rating grade or the like is none. A name without an id of the tables (`name:`) must be written
    as a name and not be a mere ticker.
    """
    if resolution.country:
        return True
    if is_market_or_label(text) or is_no_party(text):
        return False
    if resolution.party:
        return True
    identified = not resolution.entity.startswith("name:")
    return kind in COMPANY_TYPES and (identified or (kind == "ORG" and is_proper(text)))


def is_named(sentence: str, start: int, end: int) -> bool:
    """Returns whether a name that no table has is that of a party: no seat of one, and no common word without support.

    "Redwood City, California-based" is a seat. A title in quotes is a work, "platinum group metals (PGM)" a thing, and
    a name that ends with "Show" or "Act" an event or a law. A single common word ("Great", "Commodity") is most often a
    part of a name that the model has cut, so it counts only where the words around it show a company.
    """
    text = sentence[start:end]
    before = sentence[start - 1 : start]
    if _SEAT_AFTER.match(sentence, end) or text.endswith("-based") or _THINGS.search(text) or _STATE_AFTER.search(text):
        return False
    if before == "-" and _COMPOUND_BEFORE.search(sentence, max(0, start - 20), start):
        return False
    if (
        is_thing(sentence, start, end)
        or _is_part_of_name(sentence, start, end)
        or _OFFICE_AFTER.match(sentence, end)
        or (text.count(" ") < _MAX_TOWN_WORDS and _is_in_state(sentence, end))
        or _PRODUCT_AFTER.match(sentence, end)
        or _PRODUCT_BEFORE.search(sentence, max(0, start - 60), start)
    ):
        return False
    key = name_key(text)
    if len(key) == 1 and _OF_PERSON_AFTER.match(sentence, end):
        return False
    opens = text.isalpha() and not text.isupper() and _OPENING.search(sentence, max(0, start - 20), start) is not None
    family = len(key) == 1 and is_family(key[0])
    doubtful = is_common_word(text) or (opens and is_common_word(_INFLECTED.sub("", text)))
    if not family and (not doubtful or text.isupper()):
        return True
    return shows_company(sentence, start, end) or _VERB_AFTER.match(sentence, end) is not None


def _is_part_of_name(sentence: str, start: int, end: int) -> bool:
    """Returns whether a name is the trade after a company's stock code, or the field of work in a job title."""
    before = sentence[max(0, start - 20) : start]
    if _CODE_BEFORE.search(before) and DESCRIPTORS.issuperset(name_key(sentence[start:end])):
        return True
    return _JOB_BEFORE.search(before) is not None and _EMPLOYER_AFTER.match(sentence, end) is not None


def _is_in_state(sentence: str, end: int) -> bool:
    """Returns whether the state of a town follows: "Kirkland, Washington, "."""
    place = _PLACE_AFTER.match(sentence, end)
    return place is not None and (place[1] == "Washington" or is_state_of_us(place[1]))


def is_thing(sentence: str, start: int, end: int) -> bool:
    """Returns whether a sentence shows a name to be that of a work or a thing: in quotes, or "metals (PGM)"."""
    before, after = sentence[start - 1 : start], sentence[end : end + 1]
    if before and before in _QUOTES and _QUOTE_AFTER.match(sentence, end):
        return True
    return before + after == "()" and _SMALL_BEFORE.search(sentence, max(0, start - 20), start - 1) is not None


def is_cut_off(document: TextDocument, end: int, *, goes_on: bool = True, joins: bool = False) -> bool:
    """Returns whether a name ends where the text breaks off, as a summary of fixed length does: it may go on.

    Args:
        goes_on: whether the last word of the text may belong to the name, as in "New York State Supr".
        joins: whether it may do so after "and" or "of", too.
    """
    if len(document.content) - end > _MAX_REST:
        return False
    rest = document.content[end:]
    cut = (goes_on and _LAST_WORD.match(rest)) or (joins and _JOINED.match(rest))
    rest = "" if cut else _JOINING.sub("", rest)
    in_text = document.title_length > 0 and end > document.title_length
    return in_text and not rest.strip(" .…\n\t") and (not rest.startswith(".") or rest.startswith(".."))


def with_people(mentions: list[LinkedMention], content: str) -> list[LinkedMention]:
    """Returns the mentions, in which the people in a title are followed if it names no company, or if they are accused.

    "Madoff pleads guilty" is about Madoff, "SEC charges Wyly brothers" about them; "HP's Hurd quits" is about HP. A
    title such as "Countrywide's Mozilo charged with fraud" is about Mozilo besides.

    Args:
        content: the text of the document.
    """
    title = [mention for mention in mentions if mention.sentence == 0]
    companies = any(mention.followed and not mention.country and not mention.institution for mention in title)
    people = {
        mention.entity
        for mention in title
        if mention.type == "PER"
        and is_proper(mention.text)
        and not is_no_party(mention.text)
        and not is_common_word(mention.text)
        and (not companies or _is_accused(content, mention.start, mention.end))
    }
    if not people:
        return mentions
    return [
        mention._replace(followed=True) if mention.type == "PER" and mention.entity in people else mention
        for mention in mentions
    ]


def _is_accused(content: str, start: int, end: int) -> bool:
    before = content[max(0, start - _BEFORE_ACCUSED) : start]
    return _ACCUSED_AFTER.match(content, end) is not None or _ACCUSED_BEFORE.search(before) is not None
