"""The stories that a target remembers, found by article and by fingerprint."""

from __future__ import annotations

import sys

from riskwire.alerting.target_story import TargetStory
from riskwire.story import FingerprintIndex

MAX_ARTICLES = 200
"""Article ids kept of one story. Further reprints are counted, and their ids are not remembered."""


class KnownStories:
    """Finds the story to which an article belongs.

    Args:
        fingerprints: those of the stories of all targets.
    """

    def __init__(self, fingerprints: FingerprintIndex) -> None:
        self._by_article: dict[str, TargetStory] = {}
        self._by_fingerprint: dict[str, TargetStory] = {}
        """One story each: an article with the fingerprint of a known story belongs to that story."""
        self._fingerprints = fingerprints

    def find(self, article: str, fingerprint: str) -> TargetStory | None:
        """Returns the story of an earlier version of the article, else the earliest similar story, else None.

        Stories are similar if their fingerprints (hashes of title and text) are nearly equal. Among similar stories
        that were first seen at one time the fingerprint decides, so that the order of arrival has no effect.
        """
        story = self._by_article.get(article)
        if story is not None:
            return story
        similar = map(self._by_fingerprint.get, self._fingerprints.similar(fingerprint))
        return min(
            [story for story in similar if story is not None],
            key=lambda story: (story.first_ms, story.fingerprint),
            default=None,
        )

    def add(self, story: TargetStory) -> None:
        """Adds a story with its articles."""
        for article in story.articles:
            self._by_article[article] = story
        story.fingerprint = self._fingerprints.add(story.fingerprint)
        self._by_fingerprint[story.fingerprint] = story

    def add_article(self, story: TargetStory, article: str) -> bool:
        """Adds an article to a known story. Returns False, and adds nothing, when it already has `MAX_ARTICLES`."""
        if len(story.articles) >= MAX_ARTICLES:
            return False
        story.articles += (sys.intern(article),)
        self._by_article[article] = story
        return True

    def remove(self, story: TargetStory) -> None:
        """Removes a story with its articles."""
        for article in story.articles:
            self._by_article.pop(article, None)
        self._by_fingerprint.pop(story.fingerprint, None)
        self._fingerprints.remove(story.fingerprint)
