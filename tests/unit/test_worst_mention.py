"""Several mentions of one party: the worst credible one decides, and no order of mentions changes the result."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from riskwire.records import MAX_EVENTS, EventScore, Level
from riskwire.worst_mention import MentionRisk, strongest_events, worst_mention

LABELS = ("bankruptcy", "crime", "deal", "recall", "relief")


def level(neutral: float, mild: float, material: float, favourable: float) -> Level:
    return Level(neutral=neutral, mild=mild, material=material, favourable=favourable)


def events(**scores: float) -> tuple[EventScore, ...]:
    return tuple(EventScore(label=label, score=score) for label, score in scores.items())


def pairs(several: tuple[EventScore, ...]) -> list[tuple[str, float]]:
    return [(event.label, event.score) for event in several]


NEUTRAL = level(0.9, 0.05, 0.05, 0.0)
MILD = level(0.2, 0.6, 0.2, 0.0)
MATERIAL = level(0.1, 0.2, 0.7, 0.0)
FAVOURABLE = level(0.1, 0.0, 0.0, 0.9)


def test_one_adverse_mention_outweighs_any_number_of_others() -> None:
    mentions = [MentionRisk(NEUTRAL, ())] * 9 + [MentionRisk(MATERIAL, events(crime=0.8)), MentionRisk(FAVOURABLE, ())]
    assert worst_mention(mentions, None) == (MATERIAL, events(crime=0.8), 9)


def test_a_mention_as_a_speaker_counts_only_if_there_is_no_other() -> None:
    speaker = MentionRisk(MATERIAL, events(crime=0.8), speaker=True)
    assert worst_mention([speaker, MentionRisk(NEUTRAL, ())], None) == (NEUTRAL, (), 1)
    assert worst_mention([speaker], None) == (MATERIAL, events(crime=0.8), 0)


def test_events_of_harmless_mentions_do_not_stand_beside_an_adverse_level() -> None:
    """The first event type is shown beside the level, so it has to be what is adverse."""
    mentions = [MentionRisk(FAVOURABLE, events(deal=0.99)), MentionRisk(MATERIAL, events(recall=0.6))]
    assert worst_mention(mentions, None).events == events(recall=0.6)


def test_events_of_all_adverse_mentions_are_joined_by_their_highest_score() -> None:
    mentions = [
        MentionRisk(MATERIAL, events(recall=0.6, crime=0.5)),
        MentionRisk(MILD, events(recall=0.9, relief=0.5)),
        MentionRisk(NEUTRAL, events(deal=0.9)),
    ]
    assert worst_mention(mentions, None).events == events(recall=0.9, crime=0.5, relief=0.5)


def test_without_an_adverse_mention_the_least_neutral_one_decides() -> None:
    mentions = [MentionRisk(NEUTRAL, events(deal=0.7)), MentionRisk(FAVOURABLE, events(relief=0.6))]
    assert worst_mention(mentions, None) == (FAVOURABLE, events(deal=0.7, relief=0.6), 1)


def test_the_threshold_of_the_bundle_says_what_is_adverse() -> None:
    doubtful = level(0.6, 0.2, 0.2, 0.0)
    mentions = [MentionRisk(FAVOURABLE, ()), MentionRisk(doubtful, ())]
    assert worst_mention(mentions, 0.5).level == FAVOURABLE
    assert worst_mention(mentions, 0.4).level == doubtful


def test_what_the_bundle_does_not_predict_stays_unknown() -> None:
    assert worst_mention([], None) == (None, None, None)
    assert worst_mention([MentionRisk(None, None)], None) == (None, None, None)
    assert worst_mention([MentionRisk(MATERIAL, None)], None) == (MATERIAL, None, 0)
    assert worst_mention([MentionRisk(None, events(crime=0.7)), MentionRisk(None, ())], None) == (
        None,
        events(crime=0.7),
        None,
    )


shares = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)
levels = shares.map(lambda parts: level(*(round(part / sum(parts), 4) for part in parts)))
event_lists = st.lists(st.tuples(st.sampled_from(LABELS), st.integers(30, 100)), max_size=3, unique_by=lambda e: e[0])
mention_lists = st.lists(
    st.builds(
        MentionRisk,
        levels,
        event_lists.map(lambda several: events(**{label: score / 100 for label, score in several})),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@given(mention_lists, st.randoms(), st.sampled_from([None, 0.2, 0.5, 0.8]))
def test_level_and_events_do_not_depend_on_the_order_of_mentions(
    mentions: list[MentionRisk], chance: object, adverse_from: float | None
) -> None:
    shuffled = list(mentions)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert worst_mention(shuffled, adverse_from)[:2] == worst_mention(mentions, adverse_from)[:2]


@given(mention_lists, st.sampled_from([None, 0.2, 0.5, 0.8]))
def test_a_party_counts_as_adverse_exactly_if_a_credible_mention_does(
    mentions: list[MentionRisk], adverse_from: float | None
) -> None:
    threshold = 0.5 if adverse_from is None else adverse_from
    party = worst_mention(mentions, adverse_from)
    assert party.level is not None
    assert party.decisive is not None
    assert party.level == mentions[party.decisive].level
    credible = [mention for mention in mentions if not mention.speaker] or mentions
    adverse = [mention.level.adverse for mention in credible if mention.level is not None]
    assert (party.level.adverse >= threshold) == (max(adverse) >= threshold)
    if max(adverse) >= threshold:
        assert party.level.adverse == max(adverse)


@given(st.lists(event_lists, min_size=1, max_size=5))
def test_the_strongest_events_are_at_most_three_sorted_and_unique(several: list[list[tuple[str, int]]]) -> None:
    parts = [events(**{label: score / 100 for label, score in part}) for part in several]
    strongest = strongest_events(parts)
    assert strongest is not None
    assert len(strongest) <= MAX_EVENTS
    assert list(strongest) == sorted(strongest, key=lambda event: (-event.score, event.label))
    assert len({event.label for event in strongest}) == len(strongest)
    for event in strongest:
        assert event.score == max(score for part in parts for label, score in pairs(part) if label == event.label)
