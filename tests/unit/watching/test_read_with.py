"""Every analysis names the newest watchlist change before its article. It depends only on the log of its partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from past import AT, PastWorld, article, entry, removal_change, set_change

from riskwire.bus import Message, Outgoing
from riskwire.inference.linking import Linker
from riskwire.inference.stage import InferStage
from riskwire.pipeline import Topic
from riskwire.records import Analysis, Article, WatchlistChange
from riskwire.settings import Settings

ACME, GLOBEX = entry("acme"), entry("globex")
TITLE = "Acme Corp plunges on fraud"


def stage(world: PastWorld) -> InferStage:
    return InferStage(world.engine, Linker(None), Settings(), signal_partitions=1)


def messages(records: Sequence[Article | WatchlistChange]) -> list[Message]:
    return [Message(Topic.ARTICLES, 0, offset, None, record.to_bytes()) for offset, record in enumerate(records)]


def read_with(results: Sequence[Outgoing]) -> dict[str, int | None]:
    """Returns `read_with` of each analysis, by article."""
    analyses = (Analysis.model_validate_json(result.value) for result in results if result.topic == Topic.ANALYSES)
    return {analysis.article.id: analysis.read_with for analysis in analyses}


def committed(state: Mapping[str, bytes | None]) -> dict[str, bytes]:
    return {key: value for key, value in state.items() if value is not None}


async def test_read_with_is_the_newest_change_before_the_article(world: PastWorld) -> None:
    """The second argument of a change is the offset of its command; change 5 comes after 7 and does not count.

    The whole log is read in one batch, and then record by record, each by a new task with the committed state.
    """
    log = [
        article("a1", TITLE),
        set_change(ACME, 4),
        article("a2", TITLE),
        article("a3", "Rien", language="fr"),
        set_change(GLOBEX, 6),
        removal_change(ACME, 7),
        article("a4", ""),
        set_change(GLOBEX, 5),
        article("a5", TITLE),
    ]
    expected = {"a1": None, "a2": 4, "a3": 4, "a4": 7, "a5": 7}
    step = await stage(world).open(0, {}).process(messages(log))
    assert read_with(step.results) == expected
    state: dict[str, bytes] = {}
    offsets: dict[str, int | None] = {}
    for message in messages(log):  # A new task for each record continues from the committed state.
        step = await stage(world).open(0, state).process([message])
        offsets |= read_with(step.results)
        state = committed(state | step.state)
    assert offsets == expected


@pytest.mark.parametrize(
    "ignored",
    [
        pytest.param(set_change(GLOBEX).model_copy(update={"command": None}), id="without the offset of its command"),
        pytest.param(WatchlistChange(id="globex", entry={"id": "globex"}, at=AT, command=9), id="without a name"),
    ],
)
async def test_a_change_without_an_offset_or_with_an_invalid_entry_is_ignored(
    world: PastWorld, ignored: WatchlistChange
) -> None:
    """`read_with` of an article is the offset of the newest valid change before it, or None."""
    log = [article("a1", TITLE), ignored, article("a2", TITLE), set_change(ACME, 3), ignored, article("a3", TITLE)]
    step = await stage(world).open(0, {}).process(messages(log))
    assert read_with(step.results) == {"a1": None, "a2": None, "a3": 3}
