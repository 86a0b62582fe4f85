"""What ingest could not publish is published by a replay; what the bus refuses then costs only itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from refusing import RefusingBus

from riskwire.bus import Bus, Message, partition_of
from riskwire.cli import dead_letters
from riskwire.cli.dead_letters import replay_letters
from riskwire.errors import TooLargeError
from riskwire.pipeline import Topic
from riskwire.records import Article, DeadLetter
from riskwire.settings import Settings
from riskwire.stage import dead_letter

Post = Callable[[Iterable[DeadLetter]], Awaitable[None]]

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def article(name: str, version: int = 1, text: str = "") -> Article:
    url = f"https://e.example/{name}"
    return Article(id=name, version=version, url=url, source="e", title=name, text=text, published_at=NOW, seen_at=NOW)


def item(number: int, one: Article) -> Message:
    """An article as item `number` of a document, as ingest tells it."""
    return Message("feed:e", 1, number, one.id, one.to_bytes())


def refused(stage: str, *messages: Message) -> Iterator[DeadLetter]:
    """The letters of a stage whose records were too large."""
    for message in messages:
        yield DeadLetter.model_validate_json(dead_letter(stage, message, TooLargeError("refused")).value)


async def replayed(settings: Settings, *, again: bool = False) -> int:
    return await replay_letters(settings, None, everything=True, stage=None, again=again)


async def on(bus: Bus, topic: Topic) -> list[Message]:
    return [m for p in range(bus.partitions(topic)) for m in await bus.read(topic, p, 0, 1_000)]


async def test_an_article_that_ingest_could_not_publish_is_published_once_where_its_id_belongs(
    bus: Bus, post: Post, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    ones = [article(f"{n}") for n in range(6)]
    await post(refused("ingest", *(item(n, one) for n, one in enumerate(ones))))
    assert await replayed(settings) == 0
    assert "0 published as an article" in capsys.readouterr().out
    assert await replayed(settings) == 0
    found = await on(bus, Topic.ARTICLES)
    assert sorted(Article.model_validate_json(m.value).id for m in found) == [one.id for one in ones]
    assert all(m.partition == partition_of(m.key or "", 2) for m in found)


async def test_items_of_the_same_number_of_different_documents_are_not_taken_for_one(
    bus: Bus, post: Post, settings: Settings
) -> None:
    await post(refused("ingest", item(3, article("a")), item(3, article("b")), item(3, article("a", version=2))))
    assert await replayed(settings) == 0
    found = [Article.model_validate_json(m.value) for m in await on(bus, Topic.ARTICLES)]
    assert sorted((one.id, one.version) for one in found) == [("a", 1), ("a", 2), ("b", 1)]


async def test_a_record_that_the_bus_refuses_costs_only_itself_and_can_be_tried_again(
    bus: Bus, post: Post, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    large = article("large", text="x" * 5_000)
    await post(refused("ingest", item(1, article("a")), item(2, large), item(3, article("b"))))
    await post(refused("infer", Message("analyses", 0, 0, "k", b"what was read")))

    @asynccontextmanager
    async def narrow(_: Settings) -> AsyncIterator[Any]:
        yield RefusingBus(bus, {"articles": 1_000})

    with monkeypatch.context() as patched:
        patched.setattr(dead_letters, "opened_bus", narrow)
        assert await replayed(settings) == 1
    told = capsys.readouterr()
    assert "1 not replayed: the brokers refuse a record for its size" in told.err
    assert "3 replayed, 0 had been before" in told.out
    assert sorted(m.key or "" for m in await on(bus, Topic.ARTICLES)) == ["a", "b"]
    assert [m.value for m in await on(bus, Topic.ANALYSES)] == [b"what was read"]
    assert await replayed(settings) == 0
    assert sorted(m.key or "" for m in await on(bus, Topic.ARTICLES)) == ["a", "b", "large"]


async def test_a_record_that_is_no_text_is_shown_as_far_as_it_is_some(
    bus: Bus, post: Post, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await post(refused("replay", Message("archive:old.jsonl", 0, 7, None, b'{"title": "Z\xfcrich falls\x1b[31m')))
    assert await dead_letters.show(settings, "0", json=False) == 0
    assert capsys.readouterr().out.splitlines()[-1] == '{"title": "Z\\xfcrich falls\\x1b[31m'
