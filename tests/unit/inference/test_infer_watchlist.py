"""Changes of the watchlist in the log of articles: an article is linked with the list that stands where it stands."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from riskwire.bus import Message, Outgoing
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.linking import Linker, LinkerCache
from riskwire.inference.linking import linker_cache as linker_cache_module
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.stage import InferStage
from riskwire.pipeline import Topic
from riskwire.records import SIGNALS, Article, DeadLetter, Mark, Record, Signal, Tick, WatchlistChange
from riskwire.settings import Settings

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)


def article(name: str, title: str = "Acme Corp plunges on fraud, Globex Inc gains", minute: int = 0) -> Article:
    seen = AT + timedelta(minutes=minute)
    return Article(
        id=name, version=1, url="u", source="wire", title=title, language="en", published_at=seen, seen_at=seen
    )


def watch(entry: str, second: int = 0, **fields: object) -> WatchlistChange:
    """`entry` is watched from here on."""
    return WatchlistChange(
        id=entry, entry={"id": entry, "name": entry.title(), **fields}, at=AT + timedelta(seconds=second)
    )


def unwatch(name: str) -> WatchlistChange:
    return WatchlistChange(id=name, entry=None, at=AT)


def messages(records: Sequence[Record], start: int = 0) -> list[Message]:
    return [Message("articles", 0, at, None, one.to_bytes()) for at, one in enumerate(records, start)]


def entities(results: Sequence[Outgoing]) -> dict[str, set[str]]:
    """By article, the entities and groups it became signals of."""
    found: dict[str, set[str]] = {}
    for one in results:
        if one.topic == Topic.SIGNALS:
            record = SIGNALS.validate_json(one.value)
            if isinstance(record, Signal) and record.target.partition(":")[0] in ("entity", "group"):
                found.setdefault(record.article, set()).add(record.target)
    return found


def file(*entries: dict[str, object]) -> Watchlist:
    return Watchlist(tuple(WatchedEntity.model_validate(one) for one in entries), "watch.yaml")


@pytest.fixture
async def engine(tiny_bundle: Path) -> AsyncIterator[Engine]:
    async with Engine(Bundle.load(tiny_bundle)) as opened:
        yield opened


def stage(engine: Engine, watchlist: Watchlist | None = None) -> InferStage:
    return InferStage(engine, Linker(watchlist), Settings(), signal_partitions=2)


async def test_inside_one_batch_what_comes_before_is_linked_with_the_old_list_and_after_with_the_new(
    engine: Engine,
) -> None:
    records = [article("a"), watch("acme", group="makers"), article("b"), unwatch("acme"), article("c")]
    step = await stage(engine).open(0, {}).process(messages(records))
    assert entities(step.results) == {
        "a": {"entity:name:acme", "entity:name:globex"},
        "b": {"entity:acme", "group:makers"},
        "c": {"entity:name:acme", "entity:name:globex"},
    }


async def test_a_change_is_kept_over_a_restart_in_the_stage_s_own_state(engine: Engine) -> None:
    step = await stage(engine).open(0, {}).process(messages([watch("acme"), watch("globex"), unwatch("globex")]))
    state = {key: value for key, value in step.state.items() if value is not None}
    assert set(state) == {"watch/acme"}
    assert step.results == []
    again = await stage(engine).open(0, state).process(messages([article("a")], 3))
    assert entities(again.results) == {"a": {"entity:acme"}}
    gone = await stage(engine).open(0, state).process(messages([unwatch("acme")], 3))
    assert gone.state == {"watch/acme": None}


async def test_a_change_of_the_list_tells_no_time(engine: Engine) -> None:
    late = watch("acme", second=10**8)
    step = await stage(engine).open(0, {}).process(messages([Tick(seen_at=AT), late]))
    marks = [SIGNALS.validate_json(one.value) for one in step.results]
    assert {one.seen_at for one in marks if isinstance(one, Mark)} == {AT}


async def test_what_is_commanded_lies_over_the_file_and_the_file_s_entry_loses_the_claim(engine: Engine) -> None:
    base = file({"id": "acme", "name": "Acme", "aliases": ["Globex"]})
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
    step = await stage(engine, base).open(0, {}).process(messages(records))
    assert entities(step.results) == {
        "a": {"entity:acme"},
        "b": {"entity:acme", "entity:globex"},
        "c": {"entity:globex"},
        "d": {"entity:acme"},
    }


async def test_of_two_commands_that_claim_one_name_the_later_is_meant(engine: Engine) -> None:
    first, second = watch("one", 1, name="Acme"), watch("two", 2, name="Acme")
    for records in ([first, second], [second, first]):
        step = await stage(engine).open(0, {}).process(messages([*records, article("a")]))
        assert entities(step.results) == {"a": {"entity:two"}}


@pytest.mark.parametrize("entry", [{"id": "acme"}, {"id": "other", "name": "Acme"}, {"id": "acme", "name": "..."}])
async def test_a_change_that_cannot_be_read_goes_to_the_dead_letters_and_changes_nothing(
    engine: Engine, entry: dict[str, object]
) -> None:
    step = (
        await stage(engine)
        .open(0, {})
        .process(messages([WatchlistChange(id="acme", entry=entry, at=AT), article("a")]))
    )
    (letter,) = [DeadLetter.model_validate_json(one.value) for one in step.results if one.topic == Topic.DEAD_LETTERS]
    assert (letter.stage, letter.offset) == ("infer", 0)
    assert entities(step.results) == {"a": {"entity:name:acme", "entity:name:globex"}}


async def test_a_field_that_a_newer_riskwire_wrote_is_passed_over(engine: Engine) -> None:
    step = await stage(engine).open(0, {}).process(messages([watch("acme", lei="5493001KJTIIGC8Y1R12"), article("a")]))
    assert entities(step.results) == {"a": {"entity:acme"}}
    assert Topic.DEAD_LETTERS not in {one.topic for one in step.results}


def log_of(chance: random.Random) -> list[Record]:
    """Articles and changes of the list, in some order."""
    records: list[Record] = []
    for at in range(60):
        name = chance.choice(["acme", "globex", "initech"])
        records.append(
            chance.choice(
                [
                    article(str(at), f"{name.title()} Corp loss {at}, Ireland gains", at),
                    article(str(at), f"Acme Corp sues Globex Inc {at}", at),
                    watch(name, at, group=chance.choice(["makers", "others"])),
                    watch(name, at, name=chance.choice(["Acme", "Globex"])),
                    unwatch(name),
                ]
            )
        )
    return records


@pytest.mark.parametrize("seed", range(8))
async def test_what_comes_out_does_not_depend_on_batches_restarts_or_how_few_linkers_are_kept(
    engine: Engine, seed: int
) -> None:
    chance = random.Random(seed)
    records = log_of(chance)
    base = file({"id": "initech", "name": "Initech", "group": "makers"})

    async def run(*, cuts: random.Random | None, watchlists: int) -> tuple[list[Outgoing], dict[str, bytes]]:
        settings = Settings.model_validate({"inference": {"watchlists": watchlists}})
        one = InferStage(engine, Linker(base), settings, signal_partitions=1)
        state: dict[str, bytes] = {}
        task, results, at = one.open(0, state), [], 0
        while at < len(records):
            size = cuts.randint(1, 9) if cuts else len(records)
            step = await task.process(messages(records[at : at + size], at))
            results += [result for result in step.results if result.partition is None]
            _commit(state, step.state)
            at += size
            if cuts and cuts.random() < 0.3:
                task = InferStage(engine, Linker(base), settings, signal_partitions=1).open(0, state)
        return results, {key: value for key, value in state.items() if key.startswith("watch/")}

    whole = await run(cuts=None, watchlists=8)
    assert whole[0]
    assert await run(cuts=random.Random(seed + 100), watchlists=1) == whole, f"seed {seed}"


def _commit(state: dict[str, bytes], changes: Mapping[str, bytes | None]) -> None:
    for key, value in changes.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value


async def test_a_thousand_changes_in_a_row_build_one_linker_and_partitions_share_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []

    class Counted(Linker):
        def __init__(self, *args: object) -> None:
            built.append(args)
            super().__init__(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(linker_cache_module, "Linker", Counted)
    one = stage(engine)
    records: list[Record] = [watch(f"name{at}", at) for at in range(1_000)]
    records += [article("a"), article("b"), watch("acme", 1_001), article("c")]
    for partition in range(3):
        step = await one.open(partition, {}).process(messages(records))
        assert entities(step.results) == {"c": {"entity:acme"}}
    assert len(built) == 2


def test_linkers_keep_the_last_few_lists_and_the_base_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    linkers = LinkerCache(Linker(file({"id": "acme", "name": "Acme"})), 2)
    lists = [(WatchedEntity(id=name, name=name),) for name in ("x1", "x2", "x3")]
    first, second, _ = [linkers.get(one) for one in lists]
    assert linkers.get(()) is linkers.base
    assert linkers.get(lists[1]) is second
    assert linkers.get(lists[0]) is not first
    assert [one.id for one in first.watchlist.entities] == ["x1", "acme"]


def test_a_linker_that_is_let_go_is_gone_at_once(marked: Callable[..., DocumentPrediction]) -> None:
    """A running stage all but never collects cycles (`commands/collector.py`): so a linker must not be in one."""
    linkers = LinkerCache(Linker(file({"id": "acme", "name": "Acme"})), 2)
    alive: list[weakref.ref[Linker]] = []
    gc.disable()
    try:
        for at in range(8):
            linker = linkers.get((WatchedEntity(id=f"x{at}", name=f"Globex {at}"),))
            assert [one.entity for one in linker.link(marked(f"[ORG Globex {at}] and [ORG Acme] [PER Jo]"))] == [
                f"x{at}",
                "acme",
                "name:jo",
            ]
            alive.append(weakref.ref(linker))
            del linker
        assert [one() is not None for one in alive] == [False] * 6 + [True] * 2
    finally:
        gc.enable()


def test_what_the_file_loses_to_a_command_is_said_once() -> None:
    linkers = LinkerCache(Linker(file({"id": "acme", "name": "Acme", "aliases": ["Globex"]})), 1)
    with capture_logs() as logs:
        for group in ("one", "two", "three"):
            linkers.get((WatchedEntity(id="globex", name="Globex", group=group),))
    assert [one["lost"] for one in logs] == ["'acme' no longer stands for the name 'Globex': another entry does"]


async def test_an_entry_of_the_state_that_later_rules_refuse_is_passed_over(engine: Engine) -> None:
    state = {f"watch/{one.id}": one.to_bytes() for one in (watch("acme"), watch("bad", name="..."))}
    step = await stage(engine).open(0, state).process(messages([article("a")]))
    assert entities(step.results) == {"a": {"entity:acme"}}
