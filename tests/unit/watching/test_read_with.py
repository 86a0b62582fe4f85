"""Every analysis says with which state of the watchlist it was read: by the log alone, on each partition for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from past import AT, World, article, entry, unwatch, watch

from riskwire.bus import Message, Outgoing
from riskwire.inference.linking import Linker
from riskwire.inference.stage import InferStage
from riskwire.pipeline import Topic
from riskwire.records import Analysis, Article, WatchlistChange
from riskwire.settings import Settings

ACME, GLOBEX = entry("acme"), entry("globex")
TITLE = "Acme Corp plunges on fraud"


def stage(world: World) -> InferStage:
    return InferStage(world.engine, Linker(None), Settings(), signal_partitions=1)


def messages(records: Sequence[Article | WatchlistChange]) -> list[Message]:
    return [Message(Topic.ARTICLES, 0, at, None, one.to_bytes()) for at, one in enumerate(records)]


def read_with(results: Sequence[Outgoing]) -> dict[str, int | None]:
    analyses = (Analysis.model_validate_json(one.value) for one in results if one.topic == Topic.ANALYSES)
    return {one.article.id: one.read_with for one in analyses}


def kept(state: Mapping[str, bytes | None]) -> dict[str, bytes]:
    return {key: value for key, value in state.items() if value is not None}


async def test_it_is_the_newest_change_that_stands_before_the_article(world: World) -> None:
    log = [
        article("a1", TITLE),
        watch(ACME, 4),
        article("a2", TITLE),
        article("a3", "Rien", language="fr"),
        watch(GLOBEX, 6),
        unwatch(ACME, 7),
        article("a4", ""),
        watch(GLOBEX, 5),
        article("a5", TITLE),
    ]
    expected = {"a1": None, "a2": 4, "a3": 4, "a4": 7, "a5": 7}
    step = await stage(world).open(0, {}).process(messages(log))
    assert read_with(step.results) == expected
    state: dict[str, bytes] = {}
    found: dict[str, int | None] = {}
    for message in messages(log):  # a worker of its own for each
        step = await stage(world).open(0, state).process([message])
        found |= read_with(step.results)
        state = kept(state | step.state)
    assert found == expected


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(watch(GLOBEX).model_copy(update={"command": None}), id="from before commands were numbered"),
        pytest.param(WatchlistChange(id="globex", entry={"id": "globex"}, at=AT, command=9), id="that names nobody"),
    ],
)
async def test_a_change_that_does_not_say_which_it_is_or_cannot_be_taken_is_none(
    world: World, other: WatchlistChange
) -> None:
    log = [article("a1", TITLE), other, article("a2", TITLE), watch(ACME, 3), other, article("a3", TITLE)]
    step = await stage(world).open(0, {}).process(messages(log))
    assert read_with(step.results) == {"a1": None, "a2": None, "a3": 3}
