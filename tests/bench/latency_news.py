"""Made-up news as it happens: feeds whose items appear one after another, and companies that get into trouble."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape

from kafka_bench.load import companies

KEPT = 60
"""Items a feed shows at once."""
_TROUBLE = (
    ("{} hid toxic leak from inspectors, regulator says", "The regulator said on Monday that {} kept a leak secret."),
    ("{} sued over fraud at its largest plant", "Investors accuse {} of fraud and demand the return of their money."),
    ("{} shares plunge as lenders demand repayment", "Lenders of {} called in their loans after it broke covenants."),
    ("{} warns of heavy loss and halts dividend", "{} expects a record loss this year and will pay no dividend."),
    ("Prosecutors raid offices of {} in bribery probe", "Police searched {} over bribes paid to win contracts."),
    ("{} recalls products after three deaths", "{} took its best-selling product off shelves and faces claims."),
    ("Auditor of {} resigns over false accounts", "The auditor items {} that its accounts could not be relied on."),
    ("{} fined record sum for price fixing", "The cartel office fined {} and called it the leader of the ring."),
)
STORIES = 6
"""Negative stories of a company in trouble: enough that each fires at this rate of news."""
_CALM = (
    ("{} opens second line in the north", "{} said the line would start in spring, as planned."),
    ("{} confirms its outlook for the year", "{} reported figures in line with forecasts."),
    ("{} wins five-year supply contract", "{} will supply parts from next year on; terms were not disclosed."),
    ("{} names new head of finance", "{} said she would take over in June after twelve years with the company."),
    ("{} to buy back shares", "{} said demand had been stronger than planned."),
)
_PLACES = ("Ostrava", "Turku", "Graz", "Leiden", "Porto", "Malmo", "Basel", "Ghent", "Lodz", "Split", "Bergen", "Lille")


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a feed, and how many seconds after the start it appears."""

    after_s: float
    feed: int
    number: int
    title: str
    text: str


def script(seconds: float, an_hour: float, feeds: int, in_trouble: int, seed: int) -> list[Item]:
    """Returns the items that are published, by time: bad stories of some companies, calm news of the others.

    Each of the companies in trouble has `STORIES` stories within two minutes, from a random moment.

    Args:
        seconds: how long items are published.
        an_hour: the number of items an hour, of all kinds.
        feeds: the number of feeds, of which each item gets a random one.
        in_trouble: the number of companies in trouble.
    """
    chance = random.Random(seed)
    names = companies()
    chance.shuffle(names)
    troubled, calm = names[:in_trouble], names[in_trouble:]
    items = []
    for name in troubled:  # its stories come within two minutes
        first = chance.uniform(0, max(1.0, seconds - 120))
        for title, text in chance.sample(_TROUBLE, STORIES):
            items.append((first + chance.uniform(0, min(120.0, seconds - first)), title, text, name))
    for _ in range(max(0, round(seconds * an_hour / 3600) - len(items))):
        items.append((chance.uniform(0, seconds), *chance.choice(_CALM), chance.choice(calm)))
    return [
        Item(after_s, chance.randrange(feeds), number, title.format(name), _with_place(text.format(name), chance))
        for number, (after_s, title, text, name) in enumerate(sorted(items))
    ]


def _with_place(text: str, chance: random.Random) -> str:
    place = chance.choice(_PLACES)
    return f"{text} It employs {chance.randrange(2, 90)}00 people, most of them in {place}."


class Feeds:
    """RSS documents of what has appeared by now."""

    def __init__(self, items: list[Item], count: int, dated: Callable[[float], float] = float) -> None:
        """Begins with empty feeds.

        Args:
            dated: returns the date of publication of an item that appears at a time, both in seconds since 1970.
        """
        self._dated = dated
        self._to_come = deque(items)
        self._shown: list[deque[str]] = [deque(maxlen=KEPT) for _ in range(count)]
        self._began: float | None = None

    @property
    def left(self) -> int:
        """Items that have not appeared yet."""
        return len(self._to_come)

    def begin(self, now: float) -> None:
        """Starts the clock: `now` (seconds since 1970) is the moment from which items appear."""
        self._began = now

    def document(self, feed: int, now: float) -> bytes:
        """Returns the RSS document of a feed at `now`: its last `KEPT` items that have appeared, the newest first.

        Items that are due are moved into their feeds, so `now` may only grow. Before `begin` every feed is empty.
        """
        while self._began is not None and self._to_come and self._began + self._to_come[0].after_s <= now:
            item = self._to_come.popleft()
            self._shown[item.feed].appendleft(_entry(item, self._dated(self._began + item.after_s)))
        items = "".join(self._shown[feed])
        channel = f"<channel><title>wire {feed}</title>{items}</channel>"
        return f'<?xml version="1.0"?><rss version="2.0">{channel}</rss>'.encode()


def _entry(item: Item, at: float) -> str:
    """Returns the RSS element of an item, published at a time in seconds since 1970."""
    link = f"https://news.example/{item.number}"
    date = format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)
    return (
        f"<item><title>{escape(item.title)}</title><link>{link}</link><guid>{link}</guid>"
        f"<pubDate>{date}</pubDate><description>{escape(item.text)}</description></item>"
    )
