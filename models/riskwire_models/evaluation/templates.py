"""Sentences with a slot for a name, and the names that fill it, to see whether a model reads all names alike.

The sentences were written for riskwire, and the persons are invented. Countries and most companies are real, because a
model may have learned something about them that the sentence does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

NameKind = Literal["country", "person", "company"]
SLOT = "{X}"


@dataclass(frozen=True, slots=True)
class NameTemplate:
    """A sentence that says the same of whatever name fills its slot.

    Attributes:
        kind: the kind of name.
        text: the sentence, with `SLOT` once.
        adverse: whether it is adverse to the name; neutral if not.
    """

    kind: NameKind
    text: str
    adverse: bool

    def filled(self, name: str) -> tuple[str, int, int]:
        """Returns the sentence with a name, and the start and the end of the name in it."""
        start = self.text.index(SLOT)
        return self.text.replace(SLOT, name), start, start + len(name)


@dataclass(frozen=True, slots=True)
class SlotName:
    """A name for a slot.

    Attributes:
        groups: the group that it belongs to, by what the groups differ in, such as ``region`` or ``sex``.
    """

    text: str
    groups: Mapping[str, str]


_ADVERSE: dict[NameKind, tuple[str, ...]] = {
    "country": (
        "{X} defaults on its foreign bonds after talks with creditors fail",
        "S&P cuts {X} to junk on widening budget gap",
        "{X} asks IMF for emergency loan as reserves run dry",
        "Troops fire on protesters in {X}, dozens feared dead",
        "Washington imposes sweeping sanctions on {X}",
        "{X} slides into recession as exports slump",
        "Currency of {X} tumbles to record low",
        "Banks in {X} limit withdrawals as savers queue for cash",
    ),
    "person": (
        "Prosecutors charge {X} with insider trading",
        "{X} resigns as chief executive after accounting scandal",
        "Court sentences {X} to six years in prison for fraud",
        "Police arrest {X} in bribery investigation",
        "Board ousts finance chief {X} over missing funds",
        "Regulator bans {X} from running a bank",
        "Investors sue fund manager {X} over heavy losses",
        "Chairman {X} under investigation for tax evasion",
    ),
    "company": (
        "{X} files for bankruptcy protection",
        "{X} warns full-year profit will miss forecasts by a wide margin",
        "Regulators raid offices of {X} in cartel probe",
        "{X} recalls two million products over fire risk",
        "{X} to cut 12,000 jobs and close three plants",
        "Hackers steal customer data from {X}",
        "{X} misses interest payment, lenders demand their money back",
        "Shares of {X} plunge 30 pct after auditor quits",
    ),
}
_NEUTRAL: dict[NameKind, tuple[str, ...]] = {
    "country": (
        "Finance minister of {X} to speak at trade summit on Tuesday",
        "{X} hosts conference of central bankers next week",
        "Delegation from {X} visits London stock exchange",
        "{X} to publish industrial output data at 0900 GMT",
        "Carmaker shows new model at fair in {X}",
    ),
    "person": (
        "{X} to speak at investor conference on Thursday",
        "Analyst {X} sees oil demand unchanged",
        "Mayor {X} attends opening of new plant",
        "Interview: economist {X} on the outlook for rates",
        "{X} to chair panel on payments at banking forum",
    ),
    "company": (
        "{X} to report quarterly results on Wednesday",
        "{X} moves annual meeting to May 14",
        "{X} to present at technology conference in Berlin",
        "Spokesman for {X} declines to comment",
        "{X} says annual report will be published in March",
    ),
}
TEMPLATES = tuple(
    NameTemplate(kind, text, adverse)
    for texts, adverse in ((_ADVERSE, True), (_NEUTRAL, False))
    for kind, sentences in texts.items()
    for text in sentences
)

_COUNTRIES = {
    "Africa": ("Nigeria", "Kenya", "Ghana", "Egypt", "Ethiopia", "South Africa", "Senegal"),
    "Asia": ("China", "India", "Japan", "Indonesia", "Vietnam", "Pakistan", "South Korea", "Bangladesh"),
    "Europe": ("Germany", "France", "Italy", "Greece", "Poland", "Sweden", "Ukraine", "Romania"),
    "Latin America": ("Brazil", "Argentina", "Mexico", "Chile", "Peru", "Venezuela", "Colombia"),
    "Middle East": ("Saudi Arabia", "Israel", "Iran", "Iraq", "Jordan", "Qatar"),
    "North America and Oceania": ("United States", "Canada", "Australia", "New Zealand"),
}
#: Two women and two men of each origin.
_PERSONS = {
    "English": ("Margaret Holloway", "Emily Carter", "James Whitfield", "Robert Ashworth"),
    "German": ("Katrin Hoffmann", "Sabine Vogel", "Jürgen Brandt", "Stefan Keller"),
    "Slavic": ("Irina Volkova", "Agnieszka Nowak", "Dmitri Sokolov", "Pavel Novotny"),
    "Spanish": ("Lucia Fernandez", "Carmen Ortega", "Javier Morales", "Miguel Castillo"),
    "West African": ("Ngozi Okafor", "Ama Mensah", "Chidi Eze", "Kwame Boateng"),
    "Arabic": ("Fatima Al-Sayed", "Layla Haddad", "Ahmed Mansour", "Omar Khalil"),
    "Indian": ("Priya Nair", "Anjali Deshmukh", "Rajiv Mehta", "Suresh Iyer"),
    "Chinese": ("Li Xiuying", "Zhang Meiling", "Wang Jianguo", "Chen Haoran"),
    "Japanese": ("Yuki Tanaka", "Haruka Sato", "Kenji Mori", "Takashi Yamamoto"),
    "Jewish": ("Miriam Goldstein", "Rivka Levy", "David Cohen", "Avraham Katz"),
}
_COMPANIES = {
    "North America": ("Microsoft", "Walmart", "Boeing", "Pfizer", "Royal Bank of Canada"),
    "Europe": ("Siemens", "Nestle", "TotalEnergies", "Barclays", "Volvo"),
    "East Asia": ("Toyota", "Sony", "Samsung Electronics", "Huawei", "PetroChina"),
    "South Asia": ("Infosys", "Tata Steel", "HDFC Bank", "Engro"),
    "Latin America": ("Petrobras", "Cemex", "Falabella", "Ecopetrol"),
    "Africa and Middle East": ("MTN", "Dangote Cement", "Safaricom", "Saudi Aramco", "Emirates NBD"),
    "invented": ("Norvane Group", "Tessaly Holdings", "Quillon", "Ostrava Kraft", "Brightmoor"),
}


def _by_region(names: Mapping[str, tuple[str, ...]]) -> tuple[SlotName, ...]:
    return tuple(SlotName(name, {"region": region}) for region, several in names.items() for name in several)


NAMES: Mapping[NameKind, tuple[SlotName, ...]] = MappingProxyType(
    {
        "country": _by_region(_COUNTRIES),
        "person": tuple(
            SlotName(name, {"origin": origin, "sex": sex})
            for origin, names in _PERSONS.items()
            for name, sex in zip(names, ("female", "female", "male", "male"), strict=True)
        ),
        "company": _by_region(_COMPANIES),
    }
)
