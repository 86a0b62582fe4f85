"""Known stories that no past article can repeat are left out, and this has no effect on the past of a target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from past import AT, entry, past_article

from riskwire.records import Signal
from riskwire.store import PastArticle
from riskwire.watching.history import past
from riskwire.watching.history.past import KnownNews, SearchTerms, past_signals

ACME = entry("acme", group="makers")
BASE = "0123456789abcdef" * 4
NEAR = BASE[:-2] + "00"
FAR = "f" * 64
STORIES = st.sampled_from([BASE, NEAR, FAR, "no fingerprint"])
TIMES = st.integers(0, 20).map(lambda days: AT + timedelta(days=days))


@given(articles=st.lists(st.tuples(STORIES, TIMES), max_size=5), stories=st.dictionaries(STORIES, TIMES))
def test_the_past_is_the_same_as_with_all_known_stories(
    articles: list[tuple[str, datetime]], stories: dict[str, datetime]
) -> None:
    """`past_signals` considers only the known stories that an article may repeat; with all stories the result is equal.

    Args:
        articles: the fingerprint and the time of each past article.
        stories: the time of each story that target and group have received, by fingerprint.
    """

    def signals() -> list[Signal]:
        """Returns the signals of the past of an entry whose target and group know these stories."""
        past_articles = [past_article(number, story, at) for number, (story, at) in enumerate(articles)]
        known = {target: KnownNews(list(stories.items())) for target in ("entity:acme", "group:makers")}
        return past_signals(ACME, SearchTerms(("acme",), ()), past_articles, known, 100)

    def all_stories(known: Iterable[tuple[str, datetime]], _: Sequence[PastArticle]) -> Iterator[tuple[str, datetime]]:
        return iter(known)

    with_stories_in_reach = signals()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(past, "_stories_in_reach", all_stories)
        assert signals() == with_stories_in_reach


def test_a_story_of_another_time_is_out_of_reach_unless_an_article_has_its_fingerprint() -> None:
    """A story is in reach of an article within three days, or at any time if the fingerprints are equal."""
    article = past_article(0, BASE, AT)
    later = AT + timedelta(days=4)
    stories = [(FAR, later), (NEAR, AT + timedelta(days=3)), (BASE, later)]
    assert list(past._stories_in_reach(stories, [article])) == stories[1:]
