"""Which known stories a past is held against: leaving out those that it cannot repeat changes nothing that is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from past import AT, entry

from riskwire.records import Signal
from riskwire.store import MentionSummary, PastArticle
from riskwire.watching.history import past as history
from riskwire.watching.history.past import Terms, past_signals

ACME = entry("acme", group="makers")
BASE = "0123456789abcdef" * 4
NEAR = BASE[:-2] + "00"
FAR = "f" * 64
STORIES = st.sampled_from([BASE, NEAR, FAR, "no fingerprint"])
TIMES = st.integers(0, 20).map(lambda days: AT + timedelta(days=days))


def past(number: int, story: str, at: object) -> PastArticle:
    mention = MentionSummary("name:acme", "acme", "Acme", 0, (0, 4), 1.0, 1.0, 0.8, 0.1, 0.1)
    return PastArticle(f"a{number}", 1, "Acme falls", "u", "s", at, at, False, "b", story, (mention,), ())  # type: ignore[arg-type]


@given(articles=st.lists(st.tuples(STORIES, TIMES), max_size=5), told=st.dictionaries(STORIES, TIMES))
def test_it_is_the_same_past_as_held_against_all_that_is_known(
    articles: list[tuple[str, object]], told: dict[str, object]
) -> None:
    def signals() -> list[Signal]:
        rows = [past(number, *one) for number, one in enumerate(articles)]
        known = {target: list(told.items()) for target in ("entity:acme", "group:makers")}
        return past_signals(ACME, Terms(("acme",), ()), rows, known, 100, {})  # type: ignore[arg-type]

    def all_of_them(told: Sequence[object], _: object) -> Iterator[object]:
        return iter(told)

    narrowed = signals()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(history, "_that_matter", all_of_them)
        assert signals() == narrowed


def test_a_story_of_another_time_is_left_out_unless_an_article_tells_the_very_same() -> None:
    article = past(0, BASE, AT)
    later = AT + timedelta(days=4)
    told = [(FAR, later), (NEAR, AT + timedelta(days=3)), (BASE, later)]
    assert list(history._that_matter(told, [article])) == told[1:]
