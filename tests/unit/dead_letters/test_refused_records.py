"""Replaying articles that ingest could not publish; a record that the bus refuses again costs only itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from refusing import RefusingBus

from riskwire.bus import Bus, Message, partition_of
from riskwire.cli.dead_letters import replay_dead_letters, show_dead_letter
from riskwire.errors import TooLargeError
from riskwire.pipeline import Topic
from riskwire.records import Article, DeadLetter
from riskwire.settings import Settings
from riskwire.stage import dead_letter

Publish = Callable[[Iterable[DeadLetter]], Awaitable[None]]

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def article(name: str, version: int = 1, text: str = "") -> Article:
    url = f"https://e.example/{name}"
    return Article(id=name, version=version, url=url, source="e", title=name, text=text, published_at=NOW, seen_at=NOW)


def item(number: int, published: Article) -> Message:
    """The origin of an article: item `number` of a document of feed e, as the message that a dead letter is made of."""
    return Message("feed:e", 1, number, published.id, published.to_bytes())


def too_large(stage: str, *messages: Message) -> Iterator[DeadLetter]:
    """The dead letters of a stage, for records that were too large."""
    for message in messages:
        yield DeadLetter.model_validate_json(dead_letter(stage, message, TooLargeError("refused")).value)


async def replay_all(settings: Settings, *, again: bool = False) -> int:
    return await replay_dead_letters(settings, None, every=True, stage=None, again=again)


async def messages_of(bus: Bus, topic: Topic) -> list[Message]:
    """Returns the records of a topic, partition by partition."""
    return [
        message for partition in range(bus.partitions(topic)) for message in await bus.read(topic, partition, 0, 1_000)
    ]


async def articles_of(bus: Bus) -> list[Article]:
    return [Article.model_validate_json(message.value) for message in await messages_of(bus, Topic.ARTICLES)]


async def test_an_article_of_ingest_is_published_once_on_the_partition_of_its_id(
    bus: Bus, publish: Publish, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second replay publishes nothing more. There are two partitions, and the id of an article chooses one."""
    articles = [article(f"{number}") for number in range(6)]
    await publish(too_large("ingest", *(item(number, original) for number, original in enumerate(articles))))
    assert await replay_all(settings) == 0
    assert "0 published as an article" in capsys.readouterr().out
    assert await replay_all(settings) == 0
    assert sorted(published.id for published in await articles_of(bus)) == [original.id for original in articles]
    messages = await messages_of(bus, Topic.ARTICLES)
    assert all(message.partition == partition_of(message.key or "", 2) for message in messages)


async def test_items_with_the_same_number_in_different_documents_are_all_published(
    bus: Bus, publish: Publish, settings: Settings
) -> None:
    """Each article was item 3 of its document. Article a comes in two versions, which both count."""
    await publish(too_large("ingest", item(3, article("a")), item(3, article("b")), item(3, article("a", version=2))))
    assert await replay_all(settings) == 0
    assert sorted((published.id, published.version) for published in await articles_of(bus)) == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
    ]


async def test_a_record_that_the_bus_refuses_costs_only_itself_and_can_be_replayed_later(
    bus: Bus, publish: Publish, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first replay the bus refuses articles of more than 1,000 bytes, so one of four records is not put back.

    The second replay is on the bus itself, which takes it.
    """
    large = article("large", text="x" * 5_000)
    await publish(too_large("ingest", item(1, article("a")), item(2, large), item(3, article("b"))))
    await publish(too_large("infer", Message("analyses", 0, 0, "k", b"what was read")))

    @asynccontextmanager
    async def refusing(_: Settings) -> AsyncIterator[Any]:
        yield RefusingBus(bus, {"articles": 1_000})

    with monkeypatch.context() as patched:
        patched.setattr("riskwire.cli.data.open_existing_bus", refusing)
        assert await replay_all(settings) == 1
    output = capsys.readouterr()
    assert "1 not replayed: the brokers refuse a record for its size" in output.err
    assert "3 replayed, 0 replayed before" in output.out
    assert sorted(published.id for published in await articles_of(bus)) == ["a", "b"]
    assert [message.value for message in await messages_of(bus, Topic.ANALYSES)] == [b"what was read"]
    assert await replay_all(settings) == 0
    assert sorted(published.id for published in await articles_of(bus)) == ["a", "b", "large"]


async def test_a_record_that_is_not_text_is_shown_with_its_bytes_escaped(
    bus: Bus, publish: Publish, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record is no UTF-8 and has an ESC character; both bytes are printed as escapes."""
    await publish(too_large("replay", Message("archive:old.jsonl", 0, 7, None, b'{"title": "Z\xfcrich falls\x1b[31m')))
    assert await show_dead_letter(settings, "0", json=False) == 0
    assert capsys.readouterr().out.splitlines()[-1] == '{"title": "Z\\xfcrich falls\\x1b[31m'
