"""Compares the records of live news with the pages that the newsroom published. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from harness.verdict.comparison import Identity, Record, TopicComparison, analysis_identity, article_identity


def missing_pages(newest_titles: Mapping[str, str], articles: Iterable[Record]) -> list[str]:
    """Returns "address: newest title" of each page whose newest title infer never reads.

    Infer reads only the first article of each (id, version).

    Args:
        newest_titles: the newest title of each page, by address.
        articles: the articles of the topic; those of one id in the order of the topic.
    """
    read_titles = {_address_and_title(article) for article in _articles_read_by_infer(articles).values()}
    return [f"{url}: {title}" for url, title in newest_titles.items() if (url, title) not in read_titles]


def compare_live_articles(
    newest_titles: Mapping[str, str], published: Collection[tuple[str, str]], articles: Iterable[Record]
) -> TopicComparison:
    """Compares the articles with the pages.

    An article is lost if infer never reads the newest title of its page, or if a version before the newest one is
    missing. It is doubled if a feed brings a version twice, or two versions with the same title. It differs if its page
    never had that title. Infer reads only the first article of each (id, version).

    Args:
        newest_titles: the newest title of each page, by address.
        published: each address with each title that its page has had. A title that was corrected before any ingester
            polled the feed need not be on the topic.
        articles: the articles of the topic; those of one id in the order of the topic.
    """
    all_articles = list(articles)
    missed = missing_pages(newest_titles, all_articles)
    comparison = TopicComparison("live articles", len(all_articles), lost=missed)
    newest_versions: dict[object, int] = {}
    for article in all_articles:
        newest_versions[article["id"]] = max(newest_versions.get(article["id"], 0), article["version"])
    required = {(article, version) for article, newest in newest_versions.items() for version in range(1, newest)}
    missing = required - {*_articles_read_by_infer(all_articles)}
    comparison.lost += [f"{identity}, although a later version exists" for identity in missing]
    versions = Counter((article["source"], article["id"], article["version"]) for article in all_articles)
    one_of_each_version = {(article["source"], *article_identity(article)): article for article in all_articles}
    titles = Counter((article["source"], article["id"], article["title"]) for article in one_of_each_version.values())
    comparison.doubled = [f"{key}" for key, count in (versions + titles).items() for _ in range(count - 1)]
    comparison.differing = [
        f"never published: {article}" for article in all_articles if _address_and_title(article) not in published
    ]
    return comparison


def compare_live_analyses(articles: Iterable[Record], analyses: Iterable[Record]) -> TopicComparison:
    """Checks that each (id, version) has one analysis, of the title that came first under this version.

    A missing analysis is lost, each further one doubled. One of another title, or of no article, differs.
    """
    expected = _articles_read_by_infer(articles)
    analysed: dict[Identity, list[Record]] = {}
    for analysis in analyses:
        analysed.setdefault(analysis_identity(analysis), []).append(analysis["article"])
    comparison = TopicComparison("live analyses", sum(map(len, analysed.values())))
    comparison.lost = [f"{identity}" for identity in expected if identity not in analysed]
    for identity, analysed_articles in analysed.items():
        comparison.doubled += [f"{identity}"] * (len(analysed_articles) - 1)
        if identity not in expected:
            comparison.differing.append(f"of no article: {identity}")
        elif set(map(_address_and_title, analysed_articles)) != {_address_and_title(expected[identity])}:
            title = _address_and_title(analysed_articles[-1])
            comparison.differing.append(f"not of the title that came first: {identity}: {title}")
    return comparison


def compare_live_dead_letters(dead_letters: Iterable[Record]) -> TopicComparison:
    """Checks that live news has no dead letters, since each of its items can be read. Each one counts as differing."""
    descriptions = [
        f"{dead_letter.get('stage')}: {dead_letter.get('error')}: {str(dead_letter.get('record'))[:200]}"
        for dead_letter in dead_letters
    ]
    return TopicComparison("live dead-letters", len(descriptions), differing=descriptions)


def _articles_read_by_infer(articles: Iterable[Record]) -> dict[Identity, Record]:
    """Returns the first article of each (id, version); infer drops later ones.

    Two feeds may bring different titles under the same version.
    """
    first_articles: dict[Identity, Record] = {}
    for article in articles:
        first_articles.setdefault(article_identity(article), article)
    return first_articles


def _address_and_title(article: Record) -> tuple[str, str]:
    return article["url"], article["title"]
