"""Watchlist changes in the log of articles: each article is linked with the watchlist at its place in the log."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from state_changes import apply_changes
from structlog.testing import capture_logs

from riskwire.bus import Message, Outgoing
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.linking import Linker, LinkerCache
from riskwire.inference.linking import linker_cache as linker_cache_module
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.stage import InferStage
from riskwire.inference.watchlist_state import WatchlistState
from riskwire.pipeline import Topic
from riskwire.records import SIGNALS, Article, DeadLetter, Mark, Record, Signal, Tick, WatchlistChange
from riskwire.settings import Settings

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)


def article(article_id: str, title: str = "Acme Corp plunges on fraud, Globex Inc gains", minute: int = 0) -> Article:
    """Returns an article with this title and without text.

    Args:
        minute: minutes from `AT` to the time at which it was published and seen.
    """
    seen_at = AT + timedelta(minutes=minute)
    return Article(
        id=article_id,
        version=1,
        url="u",
        source="wire",
        title=title,
        language="en",
        published_at=seen_at,
        seen_at=seen_at,
    )


def watch(entry_id: str, second: int = 0, *, command: int | None = None, **fields: object) -> WatchlistChange:
    """Returns the change that sets an entry of the watchlist, `second` seconds after `AT`.

    Args:
        entry_id: the id, and in title case the default name.
        command: the offset of the command in `commands`.
        fields: further fields of the entry, or another name.
    """
    entry = {"id": entry_id, "name": entry_id.title(), **fields}
    return WatchlistChange(id=entry_id, entry=entry, at=AT + timedelta(seconds=second), command=command)


def unwatch(entry_id: str, *, command: int | None = None) -> WatchlistChange:
    """Returns the change that removes an entry. `command` is the offset of the command in `commands`."""
    return WatchlistChange(id=entry_id, entry=None, at=AT, command=command)


def messages(records: Sequence[Record], first_offset: int = 0) -> list[Message]:
    """Returns records of `articles`, partition 0, with offsets from `first_offset`."""
    return [
        Message("articles", 0, offset, None, record.to_bytes()) for offset, record in enumerate(records, first_offset)
    ]


def entities(results: Sequence[Outgoing]) -> dict[str, set[str]]:
    """Returns, for each article with signals, the ids of the entities and groups that got one."""
    targets: dict[str, set[str]] = {}
    for outgoing in results:
        if outgoing.topic == Topic.SIGNALS:
            record = SIGNALS.validate_json(outgoing.value)
            if isinstance(record, Signal) and record.target.partition(":")[0] in ("entity", "group"):
                targets.setdefault(record.article, set()).add(record.target)
    return targets


def watchlist_file(*entries: dict[str, object]) -> Watchlist:
    return Watchlist(tuple(WatchedEntity.model_validate(entry) for entry in entries), "watch.yaml")


@pytest.fixture
async def engine(tiny_bundle: Path) -> AsyncIterator[Engine]:
    async with Engine(Bundle.load(tiny_bundle)) as opened:
        yield opened


def infer_stage(engine: Engine, watchlist: Watchlist | None = None) -> InferStage:
    return InferStage(engine, Linker(watchlist), Settings(), signal_partitions=2)


async def test_articles_of_one_batch_are_linked_with_the_watchlist_at_their_place(engine: Engine) -> None:
    """While something is watched, only watched entities and their groups get signals; before and after, all do."""
    records = [article("a"), watch("acme", group="makers"), article("b"), unwatch("acme"), article("c")]
    step = await infer_stage(engine).open(0, {}).process(messages(records))
    assert entities(step.results) == {
        "a": {"entity:name:acme", "entity:name:globex"},
        "b": {"entity:acme", "group:makers"},
        "c": {"entity:name:acme", "entity:name:globex"},
    }


async def test_a_changed_weight_counts_from_its_place_in_the_log_on(engine: Engine) -> None:
    records = [watch("acme", weight=2), article("a"), watch("acme", weight=5), article("b")]
    step = await infer_stage(engine).open(0, {}).process(messages(records))
    signals = [SIGNALS.validate_json(outgoing.value) for outgoing in step.results if outgoing.topic == Topic.SIGNALS]
    weights = {
        signal.article: signal.weight
        for signal in signals
        if isinstance(signal, Signal) and signal.target == "entity:acme"
    }
    assert weights == {"a": 2.0, "b": 5.0}


async def test_a_change_survives_a_restart_in_the_state_of_the_stage(engine: Engine) -> None:
    """The state has one key for each entry that is set; removing the entry deletes its key."""
    changes = [watch("acme"), watch("globex"), unwatch("globex")]
    step = await infer_stage(engine).open(0, {}).process(messages(changes))
    state: dict[str, bytes] = {}
    apply_changes(state, step.state)
    assert set(state) == {"watch/acme"}
    assert step.results == []
    restarted = await infer_stage(engine).open(0, state).process(messages([article("a")], 3))
    assert entities(restarted.results) == {"a": {"entity:acme"}}
    removed = await infer_stage(engine).open(0, state).process(messages([unwatch("acme")], 3))
    assert removed.state == {"watch/acme": None}


async def test_the_time_of_a_watchlist_change_does_not_move_the_mark(engine: Engine) -> None:
    """The change is of a time far ahead, and the mark has the time of the tick."""
    late = watch("acme", second=10**8)
    step = await infer_stage(engine).open(0, {}).process(messages([Tick(seen_at=AT), late]))
    marks = [SIGNALS.validate_json(outgoing.value) for outgoing in step.results]
    assert {mark.seen_at for mark in marks if isinstance(mark, Mark)} == {AT}


async def test_an_entry_set_by_a_command_takes_precedence_over_the_file_which_loses_the_name(engine: Engine) -> None:
    """The file has Acme with the alias Globex. A command sets Globex, another renames Acme, and both are removed again.

    Each article between the changes names both companies.
    """
    base = watchlist_file({"id": "acme", "name": "Acme", "aliases": ["Globex"]})
    records = [
        article("a"),
        watch("globex"),
        article("b"),
        watch("acme", name="Initech"),
        article("c"),
        unwatch("acme"),
        unwatch("globex"),
        article("d"),
    ]
    step = await infer_stage(engine, base).open(0, {}).process(messages(records))
    assert entities(step.results) == {
        "a": {"entity:acme"},
        "b": {"entity:acme", "entity:globex"},
        "c": {"entity:globex"},
        "d": {"entity:acme"},
    }


async def test_of_two_commands_that_claim_one_name_the_later_gets_it(engine: Engine) -> None:
    """The time of a change counts, not its place in the log."""
    earlier, later = watch("one", 1, name="Acme"), watch("two", 2, name="Acme")
    for records in ([earlier, later], [later, earlier]):
        step = await infer_stage(engine).open(0, {}).process(messages([*records, article("a")]))
        assert entities(step.results) == {"a": {"entity:two"}}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"id": "acme"}, id="without name"),
        pytest.param({"id": "other", "name": "Acme"}, id="with another id"),
        pytest.param({"id": "acme", "name": "..."}, id="with an empty name"),
    ],
)
async def test_an_invalid_change_becomes_a_dead_letter_and_changes_nothing(
    engine: Engine, entry: dict[str, object]
) -> None:
    """The article after it is linked as without a watchlist."""
    change = WatchlistChange(id="acme", entry=entry, at=AT)
    step = await infer_stage(engine).open(0, {}).process(messages([change, article("a")]))
    (letter,) = [
        DeadLetter.model_validate_json(outgoing.value)
        for outgoing in step.results
        if outgoing.topic == Topic.DEAD_LETTERS
    ]
    assert (letter.stage, letter.offset) == ("infer", 0)
    assert entities(step.results) == {"a": {"entity:name:acme", "entity:name:globex"}}


async def test_an_unknown_field_of_an_entry_is_ignored(engine: Engine) -> None:
    """A newer riskwire may have written it."""
    records = [watch("acme", lei="5493001KJTIIGC8Y1R12"), article("a")]
    step = await infer_stage(engine).open(0, {}).process(messages(records))
    assert entities(step.results) == {"a": {"entity:acme"}}
    assert Topic.DEAD_LETTERS not in {outgoing.topic for outgoing in step.results}


def random_log(rng: random.Random) -> list[Record]:
    """Returns 60 articles and watchlist changes in random order."""
    records: list[Record] = []
    for number in range(60):
        entry_id = rng.choice(["acme", "globex", "initech"])
        records.append(
            rng.choice(
                [
                    article(str(number), f"{entry_id.title()} Corp loss {number}, Ireland gains", number),
                    article(str(number), f"Acme Corp sues Globex Inc {number}", number),
                    watch(entry_id, number, group=rng.choice(["makers", "others"])),
                    watch(entry_id, number, name=rng.choice(["Acme", "Globex"])),
                    unwatch(entry_id),
                ]
            )
        )
    return records


@pytest.mark.parametrize("seed", range(8))
async def test_results_do_not_depend_on_batches_restarts_or_the_number_of_cached_linkers(
    engine: Engine, seed: int
) -> None:
    """A random log is read in one batch, and in small batches with restarts and a cache of one linker."""
    rng = random.Random(seed)
    records = random_log(rng)
    base = watchlist_file({"id": "initech", "name": "Initech", "group": "makers"})

    async def run(*, cuts: random.Random | None, watchlists: int) -> tuple[list[Outgoing], dict[str, bytes]]:
        """Returns the results (without marks) and the watchlist state of a stage that has read the records.

        Args:
            cuts: decides the sizes of batches and the times of restarts; None for one batch.
            watchlists: the number of linkers that the stage caches.
        """
        settings = Settings.model_validate({"inference": {"watchlists": watchlists}})
        stage = InferStage(engine, Linker(base), settings, signal_partitions=1)
        state: dict[str, bytes] = {}
        results: list[Outgoing] = []
        task, offset = stage.open(0, state), 0
        while offset < len(records):
            size = cuts.randint(1, 9) if cuts else len(records)
            step = await task.process(messages(records[offset : offset + size], offset))
            results += [outgoing for outgoing in step.results if outgoing.partition is None]
            apply_changes(state, step.state)
            offset += size
            if cuts and cuts.random() < 0.3:
                task = InferStage(engine, Linker(base), settings, signal_partitions=1).open(0, state)
        return results, {key: value for key, value in state.items() if key.startswith("watch/")}

    undisturbed = await run(cuts=None, watchlists=8)
    assert undisturbed[0]
    assert await run(cuts=random.Random(seed + 100), watchlists=1) == undisturbed, f"seed {seed}"


async def test_a_thousand_changes_in_a_row_build_one_linker_which_partitions_share(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A linker is built for the watchlist of an article, not for each change.

    Two watchlists have articles, so two linkers are built, which the tasks of all three partitions use.
    """
    built = []

    class CountedLinker(Linker):
        def __init__(self, *args: object) -> None:
            built.append(args)
            super().__init__(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(linker_cache_module, "Linker", CountedLinker)
    stage = infer_stage(engine)
    records: list[Record] = [watch(f"name{number}", number) for number in range(1_000)]
    records += [article("a"), article("b"), watch("acme", 1_001), article("c")]
    for partition in range(3):
        step = await stage.open(partition, {}).process(messages(records))
        assert entities(step.results) == {"c": {"entity:acme"}}
    assert len(built) == 2


def test_the_cache_returns_the_base_without_entries_and_evicts_the_least_recently_used_linker() -> None:
    """The cache holds two linkers besides the base, so the third one evicts the first, which is then built again.

    A linker has the entries of commands before those of the base.
    """
    cache = LinkerCache(Linker(watchlist_file({"id": "acme", "name": "Acme"})), 2)
    entry_lists = [(WatchedEntity(id=name, name=name),) for name in ("x1", "x2", "x3")]
    first, second, _ = [cache.get(entries) for entries in entry_lists]
    assert cache.get(()) is cache.base
    assert cache.get(entry_lists[1]) is second
    assert cache.get(entry_lists[0]) is not first
    assert [entity.id for entity in first.watchlist.entities] == ["x1", "acme"]


def test_an_evicted_linker_is_freed_without_garbage_collection(marked: Callable[..., DocumentPrediction]) -> None:
    """A running stage almost never collects cycles (`app/garbage_collection.py`), so a linker must not be in one.

    Of eight linkers, only the last two, which the cache holds, still exist; weak references show it.
    """
    cache = LinkerCache(Linker(watchlist_file({"id": "acme", "name": "Acme"})), 2)
    linkers: list[weakref.ref[Linker]] = []
    gc.disable()
    try:
        for number in range(8):
            linker = cache.get((WatchedEntity(id=f"x{number}", name=f"Globex {number}"),))
            mentions = linker.link(marked(f"[ORG Globex {number}] and [ORG Acme] [PER Jo]"))
            assert [mention.entity for mention in mentions] == [f"x{number}", "acme", "name:jo"]
            linkers.append(weakref.ref(linker))
            del linker
        assert [reference() is not None for reference in linkers] == [False] * 6 + [True] * 2
    finally:
        gc.enable()


def test_a_name_that_the_file_loses_to_a_command_is_logged_once() -> None:
    """Three linkers are built, and in each Acme of the file loses the alias Globex to the entry of a command."""
    cache = LinkerCache(Linker(watchlist_file({"id": "acme", "name": "Acme", "aliases": ["Globex"]})), 1)
    with capture_logs() as logs:
        for group in ("one", "two", "three"):
            cache.get((WatchedEntity(id="globex", name="Globex", group=group),))
    (entry,) = logs
    assert entry["lost"].startswith("'acme'")
    assert "'Globex'" in entry["lost"]


async def test_an_entry_of_the_state_that_has_become_invalid_is_ignored(engine: Engine) -> None:
    """The name "..." has no letter. Its entry is not watched, and a later change can still remove it."""
    state = {f"watch/{change.id}": change.to_bytes() for change in (watch("acme"), watch("bad", name="..."))}
    task = infer_stage(engine).open(0, state)
    step = await task.process(messages([article("a"), unwatch("bad")]))
    assert entities(step.results) == {"a": {"entity:acme"}}
    assert step.state["watch/bad"] is None


def test_the_newest_command_is_kept_when_it_removed_its_entry_and_after_a_restart() -> None:
    """`read_with` is the greatest offset in `commands` of the applied changes: 7, at which acme was removed."""
    watchlist = WatchlistState({})
    assert watchlist.snapshot().read_with is None
    for change in (watch("acme", command=4), watch("globex", command=3), unwatch("acme", command=7)):
        watchlist.apply(change, "articles[0]@0")
    state: dict[str, bytes] = {}
    apply_changes(state, watchlist.take_changes())
    restored = WatchlistState(state).snapshot()
    assert ([entity.id for entity in restored.entries], restored.read_with) == (["globex"], 7)
    assert watchlist.snapshot() is watchlist.snapshot()
