"""Generates company statements from templates whose sentiment is known.

Public data sets with a commercial licence hold tweets and headlines, but few sentences such as "Operating profit rose
to EUR 13.1 mn from EUR 8.7 mn". The verb and the noun of such a sentence decide whether it is good news. We wrote the
templates; company names come from the table of the SEC (public domain). Nothing is copied from an evaluation set.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from riskwire_models.data.examples import Example
from riskwire_models.data.labels import LabelledSpan, LabelledTarget
from riskwire_models.errors import TrainingDataError

_GOOD_WHEN_MORE = (
    "operating profit", "net profit", "net sales", "revenue", "pre-tax profit", "earnings per share", "turnover",
    "order intake", "the order book", "cash flow from operations", "EBIT", "EBITDA",
    "like-for-like sales", "net interest income", "comparable operating profit",
)  # fmt: skip
_BAD_WHEN_MORE = (
    "operating loss", "net loss", "pre-tax loss", "net debt", "impairment charges", "loan losses", "raw material costs",
    "restructuring costs", "bad debt provisions",
)  # fmt: skip
_UP = ("rose", "increased", "grew", "climbed", "jumped", "improved", "went up", "surged")
_DOWN = ("fell", "decreased", "dropped", "declined", "slipped", "went down", "shrank", "plunged")
_LOSS_UP = ("widened", "increased", "grew", "rose", "deepened")
_LOSS_DOWN = ("narrowed", "decreased", "fell", "shrank", "was reduced")
_PERIODS = (
    "in the first quarter", "in the second quarter", "in the third quarter", "in the fourth quarter", "in 2008",
    "in the first half of 2012", "in the year to March", "for the full year", "during the period", "in January-June",
    "year on year", "in the reporting period", "in the nine months to September", "in fiscal 2019",
)  # fmt: skip
_PRIOR = ("from", "compared with", "compared to", "against", "up from", "down from")
_CURRENCIES = ("EUR", "USD", "GBP", "$", "SEK", "CHF", "Rs", "euro", "NOK", "DKK", "C$")
_UNITS = ("mn", "million", "bn", "billion", "m")
_PLACES = (
    "Germany", "Poland", "Sweden", "India", "China", "Texas", "Ohio", "Canada", "Spain", "Brazil", "Vietnam", "Norway",
    "Estonia", "Lyon", "Hamburg", "Chennai", "Shanghai", "Ontario", "Denmark", "Kazakhstan", "Chile", "Latvia",
)  # fmt: skip
_THINGS = (
    "escalators", "industrial pumps", "software", "network equipment", "dairy products", "electronic components",
    "steel", "engines", "packaging", "fitness equipment", "mobile services", "wind turbines", "hospital beds",
    "fertilisers", "logistics services", "conveyor belts", "sports goods", "process automation", "magazines", "tyres",
)  # fmt: skip
_PEOPLE_POSTS = (
    "chief financial officer", "head of communications", "board member", "chief executive", "sales director",
)  # fmt: skip

#: {c} is the company. Neutral: facts about a company, and amounts of money without a direction.
_NEUTRAL = (
    "{c} is based in {place} and makes {thing} .",
    "{c} employs some {n} people in {n2} countries .",
    "The value of the deal was not disclosed by {c} .",
    "{c} will publish its interim report on {day} .",
    "The annual general meeting of {c} will be held in {place} on {day} .",
    "{c} said the plant in {place} is scheduled to start in {year} .",
    "The contract between {c} and the city includes the delivery of {thing} and their maintenance .",
    "{c} , headquartered in {place} , supplies {thing} to industrial customers .",
    "{c} has appointed a new {post} as of {day} .",
    "{c} operates in {n2} countries and has offices in {place} .",
    "The shares of {c} are listed on the main exchange of {place} .",
    "Financial details were not disclosed , {c} said .",
    "{c} plans to move its head office to {place} in {year} .",
    "According to {c} , the new unit will produce {thing} .",
    "The total floor area of the building that {c} rents is {n} square metres .",
    "{c} had net sales of {money} in {year} .",
    "A total of {n} shares in {c} were subscribed for with the options .",
    "{c} owns {n2} percent of the company that makes {thing} .",
    "{c} and its partner will set up a joint venture for {thing} in {place} .",
    "The {thing} business of {c} accounts for {n2} percent of its sales .",
    "{c} aims at net sales of about {money} in {year} .",
    "The new {thing} unit of {c} will serve customers in {place} and employ {n2} people .",
)
_POSITIVE = (
    "{c} has won an order worth {money} for {thing} from {place} .",
    "{c} raised its full-year outlook after strong demand for {thing} .",
    "{c} signed a contract of {money} to deliver {thing} to a customer in {place} .",
    "{c} swung to a net profit of {money} from a loss of {money2} a year earlier .",
    "{c} returned to profit {period} .",
    "{c} expects its sales and operating profit to grow in {year} .",
    "The board of {c} proposes a higher dividend of {money} .",
    "{c} will hire {n} people to meet the growing demand for {thing} .",
    "{c} beat the market's expectations {period} .",
    "{c} said the investment will improve productivity and save about {money} a year .",
    "Profitability of {c} improved {period} thanks to lower costs .",
    "{c} has been awarded a significant contract for {thing} in {place} .",
    "{c} strengthens its position in {place} with the new {thing} unit .",
)
_NEGATIVE = (
    "{c} lowered its full-year outlook because of weak demand for {thing} .",
    "{c} will lay off {n} employees in {place} .",
    "{c} swung to a net loss of {money} from a profit of {money2} a year earlier .",
    "{c} issued a profit warning {period} .",
    "{c} starts talks on cutting {n} jobs at its {thing} unit .",
    "{c} missed the market's expectations {period} .",
    "{c} is to close its plant in {place} , which makes {thing} .",
    "The board of {c} proposes that no dividend be paid .",
    "{c} expects its sales and operating profit to decline in {year} .",
    "{c} recalls {thing} after a fault was found .",
    "A court in {place} fined {c} {money} .",
    "Profitability of {c} weakened {period} because of higher raw material prices .",
    "{c} lost an order worth {money} for {thing} .",
    "{c} has been temporarily laying off staff because of the poor market for {thing} .",
)
_NAME_PLACEHOLDER = re.compile(r"(\{\w+\})")
_SUFFIX = re.compile(r"[\s,]+(?:/\w+/?|\\\w+\\?)$")


def company_names(path: Path) -> list[str]:
    """Returns the distinct names of the SEC table, sorted, without state codes; upper case becomes title case."""
    if not path.is_file():
        raise TrainingDataError(f"no table of company names {path}: pass the folder that holds it with --data")
    rows = json.loads(path.read_text(encoding="utf-8"))["data"]
    names: set[str] = set()
    for row in rows:
        name = _SUFFIX.sub("", str(row[1])).strip(" ,.")
        if 3 <= len(name) <= 32 and not any(mark in name for mark in "/\\"):
            names.add(name.title() if name.isupper() else name)
    return sorted(names)


def _money(generator: random.Random) -> tuple[str, float]:
    """Returns a random sum of money as text, such as "$ 4.2 million", and its amount without the unit."""
    amount = round(
        generator.choice((generator.uniform(0.2, 9.9), generator.uniform(10, 99), generator.uniform(100, 900))), 1
    )
    currency, unit = generator.choice(_CURRENCIES), generator.choice(_UNITS)
    text = f"{amount} {unit} euros" if currency == "euro" else f"{currency} {amount} {unit}"
    return text, amount


def _with_amount(text: str, old: float, new: float) -> str:
    return text.replace(str(old), str(round(max(new, 0.1), 1)), 1)


def _rise_or_fall(generator: random.Random) -> tuple[str, str]:
    """Returns a template about a figure that rose or fell, and its sentiment."""
    up = generator.random() < 0.5
    good_noun = generator.random() < 0.75
    noun = generator.choice(_GOOD_WHEN_MORE if good_noun else _BAD_WHEN_MORE)
    if "loss" in noun:
        verb = generator.choice(_LOSS_UP if up else _LOSS_DOWN)
    else:
        verb = generator.choice(_UP if up else _DOWN)
        if verb == "improved" and not good_noun:
            verb = "rose"
    now, amount = _money(generator)
    before = _with_amount(now, amount, amount * (generator.uniform(0.5, 0.93) if up else generator.uniform(1.08, 1.9)))
    prior = generator.choice(_PRIOR[:4])
    period = generator.choice(_PERIODS)
    percent = round(generator.uniform(1, 60), 1)
    bare_noun = noun.removeprefix("the ")
    template = generator.choice(
        (
            f"{{c}} said its {bare_noun} {verb} to {now} {period} {prior} {before} a year earlier .",
            f"{noun[0].upper()}{noun[1:]} of {{c}} {verb} to {now} {prior} {before} {period} .",
            f"The {bare_noun} of {{c}} {verb} by {percent} percent to {now} {period} .",
            f"{{c}} 's {bare_noun} {verb} {percent} % {period} .",
            f"{{c}} reported today that its {bare_noun} {verb} to {now} {period} .",
            f"At {{c}} , {bare_noun} {verb} {percent} pct {period} to {now} .",
        )
    )
    if good_noun and generator.random() < 0.2:
        template = (
            f"{{c}} posted {bare_noun} of {now} {period} , {'up' if up else 'down'} from {before} a year earlier ."
        )
    elif good_noun and generator.random() < 0.12:
        template = f"{{c}} 's {bare_noun} was {now} {period} , {prior} {before} in the year-ago period ."
    return template, "positive" if up == good_noun else "negative"


def fill_placeholders(template: str, names: Mapping[str, tuple[str, str]]) -> tuple[str, tuple[LabelledSpan, ...]]:
    """Returns the template with its placeholders replaced by names, and the spans of these names.

    Args:
        template: text with placeholders such as ``{c}``.
        names: name and entity type by placeholder; a placeholder without a name remains.
    """
    text = ""
    spans: list[LabelledSpan] = []
    for part in _NAME_PLACEHOLDER.split(template):
        if part in names:
            name, kind = names[part]
            spans.append(LabelledSpan(len(text), len(text) + len(name), kind))
            text += name
        else:
            text += part
    return text, tuple(spans)


def write_statements(names: list[str], rows: int, seed: int) -> Iterator[Example]:
    """Yields labelled statements: 40 % neutral, 30 % positive, 30 % negative.

    Args:
        names: company names to choose from.
        rows: number of statements.
        seed: the same names and seed give the same statements.
    """
    generator = random.Random(seed)
    for _ in range(rows):
        draw = generator.random()
        if draw < 0.4:
            template, label = generator.choice(_NEUTRAL), "neutral"
        elif draw < 0.75:
            template, label = _rise_or_fall(generator)
        elif draw < 0.875:
            template, label = generator.choice(_POSITIVE), "positive"
        else:
            template, label = generator.choice(_NEGATIVE), "negative"
        name = generator.choice(names)
        money, money2 = _money(generator)[0], _money(generator)[0]
        place = generator.choice(_PLACES)
        filled = (
            template.replace("{money2}", money2)
            .replace("{money}", money)
            .replace("{thing}", generator.choice(_THINGS))
            .replace("{period}", generator.choice(_PERIODS))
            .replace("{post}", generator.choice(_PEOPLE_POSTS))
            .replace("{day}", f"{generator.randint(1, 28)} {generator.choice(('March', 'April', 'August', 'October'))}")
            .replace("{year}", str(generator.randint(2006, 2026)))
            .replace("{n2}", str(generator.randint(2, 60)))
            .replace("{n}", str(generator.randint(12, 4000)))
        )
        text, entities = fill_placeholders(filled, {"{c}": (name, "ORG"), "{place}": (place, "LOC")})
        company = next(span for span in entities if span.label == "ORG")
        yield Example(
            text,
            "statements",
            sentiment=label,
            targets=(LabelledTarget(company.start, company.end, label),),
            entities=entities,
        )
