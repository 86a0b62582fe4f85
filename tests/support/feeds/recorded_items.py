"""Recorded feeds with the true language of their items, and how often a bundle for English reads the wrong ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from riskwire.inference.model.vocabulary import Vocabulary
from riskwire.ingest.parsing.formats import Limits, parse
from riskwire.ingest.parsing.items import clean_entry
from riskwire.ingest.parsing.language import detect

PUBLISHERS = {"20minutos": "es", "derbrutkasten": "de", "faz": "de", "orf": "de", "lemonde": "fr", "yandex": "ru"}
"""The language of the publishers that do not write in English, by the start of the file's name."""
LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class RecordedItem:
    """An item of a recorded feed: its title and text, the language that the feed declares, and its true language."""

    file: str
    title: str
    text: str
    declared: str
    language: str


def recorded_items(feeds: Path) -> Iterator[RecordedItem]:
    """Yields the items of the recorded feeds in a folder, in the order of the files.

    Titles of feeds translated into Chinese are partly English, so their `language` holds for title and text together.
    """
    for path in sorted(feeds.glob("*.xml")):
        document = parse(path.read_bytes(), "", "https://e.example/", "auto", LIMITS)
        is_chinese = "translated" in path.stem or "_zh_" in path.stem
        expected = "zh" if is_chinese else PUBLISHERS.get(path.stem.split("_")[0], "en")
        for entry in document.entries:
            title, text = clean_entry(entry, LIMITS.text)
            language = entry.language or "en" if path.stem.startswith("bloomberg_news_sitemap") else expected
            yield RecordedItem(path.name, title, text, entry.language or document.language, language)


def is_read(vocabulary: Vocabulary, title: str, text: str, declared: str) -> bool:
    """Returns whether an item is read by a bundle for English with this vocabulary."""
    language = detect(title, text, declared=declared)
    return vocabulary.reads(f"{title}\n{text}") if language is None else language == "en"


@dataclass(frozen=True, slots=True)
class LanguageErrors:
    """The errors of one way to try the items.

    Attributes:
        mode: how the items were tried.
        foreign: the number of foreign items.
        english: the number of English items.
        read: titles of foreign items that are read.
        unread: titles of English items that are not read.
    """

    mode: str
    foreign: int
    english: int
    read: tuple[str, ...]
    unread: tuple[str, ...]

    def __str__(self) -> str:
        read, unread = len(self.read), len(self.unread)
        return (
            f"{self.mode}: {read} of {self.foreign} foreign items read ({read / self.foreign:.1%}), "
            f"{unread} of {self.english} English items not read ({unread / self.english:.1%})"
        )


def language_errors(items: list[RecordedItem], vocabulary: Vocabulary) -> list[LanguageErrors]:
    """Returns the errors for items as published, without the declared language, and by their titles alone.

    Chinese items are not tried by their titles, since the titles of translated feeds are partly English.
    """
    with_title = [item for item in items if item.language != "zh"]
    return [
        _errors("as published", items, [is_read(vocabulary, item.title, item.text, item.declared) for item in items]),
        _errors("undeclared", items, [is_read(vocabulary, item.title, item.text, "") for item in items]),
        _errors("title alone", with_title, [is_read(vocabulary, item.title, "", "") for item in with_title]),
    ]


def _errors(mode: str, items: list[RecordedItem], read: list[bool]) -> LanguageErrors:
    """Returns the errors for items of which it is known whether each was read."""
    english = sum(item.language == "en" for item in items)
    return LanguageErrors(
        mode=mode,
        foreign=len(items) - english,
        english=english,
        read=tuple(
            item.title for item, was_read in zip(items, read, strict=True) if was_read and item.language != "en"
        ),
        unread=tuple(
            item.title for item, was_read in zip(items, read, strict=True) if not was_read and item.language == "en"
        ),
    )
