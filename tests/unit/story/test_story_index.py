"""The index finds exactly the stories that a comparison with every story would find."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from riskwire.story import StoryIndex, fingerprint, same_story

WORDS = st.sampled_from(
    ["acme", "fraud", "probe", "dublin", "paris", "losses", "crisis", "recall", "toasters", "growth"]
)
TITLES = st.lists(WORDS, min_size=4, max_size=7).map(" ".join)


@dataclass(frozen=True, eq=False)
class IndexedStory:
    fingerprint: str


def indexed(titles: list[str]) -> tuple[StoryIndex[IndexedStory], list[IndexedStory]]:
    """Returns an index of stories with these titles, and the stories."""
    index: StoryIndex[IndexedStory] = StoryIndex()
    stories = [IndexedStory(fingerprint(title, "")) for title in titles]
    for story in stories:
        index.add(story)
    return index, stories


@given(st.lists(TITLES, max_size=12), TITLES)
def test_similar_stories_are_those_that_compare_as_the_same_story(titles: list[str], title: str) -> None:
    """The index is filled with the stories of `titles`; the story of `title` is sought."""
    index, stories = indexed(titles)
    sought = fingerprint(title, "")
    assert set(index.similar(sought)) == {story for story in stories if same_story(story.fingerprint, sought)}


@given(st.lists(TITLES, min_size=1, max_size=6))
def test_a_removed_story_is_not_found_and_equal_ones_are(titles: list[str]) -> None:
    """The first story is in the index twice, as two objects with equal fingerprints; one of the objects is removed."""
    index, stories = indexed([*titles, titles[0]])
    index.remove(stories[0])
    similar = index.similar(stories[0].fingerprint)
    assert stories[0] not in similar
    assert stories[-1] in similar
