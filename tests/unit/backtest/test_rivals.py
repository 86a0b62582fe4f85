"""The rivals, and their knobs turned to the same number of notifications."""

from __future__ import annotations

from back_test import START, at, report

from riskwire.backtest.rivals import Ewma, KeywordList, StaticCounter, ThreeSigma, at_number, read_stems


def test_the_committed_list_has_sixty_stems_or_more_each_once() -> None:
    stems = read_stems()
    assert len(stems) == len(set(stems)) >= 60


def test_the_keyword_list_tells_a_name_once_in_seven_days() -> None:
    titles = [report(hours, "Acme sued") for hours in (0, 24, 24 * 7 - 1, 24 * 7)]
    rival = KeywordList([*titles, report(1, "Globex gains", name="Globex")], lambda _: True, at(1), ["sue"])
    assert [notification.at for notification in rival.notifications(1)] == [at(0), at(24 * 7)]


def test_the_keyword_list_puts_stems_that_told_events_in_the_tuning_part_first() -> None:
    """Later stories have no say."""
    titles = [report(hour, f"Acme {word}") for hour, word in enumerate(["weak", "fraud", "weak", "weak", "weak"])]
    rival = KeywordList(titles, lambda story: "fraud" in story.title or story.at > at(2), at(3), ["weak", "fraud"])
    assert rival.stems == ("fraud", "weak")
    assert [notification.text for notification in rival.notifications(1)] == ["Acme fraud"]


def test_the_static_counter_needs_three_adverse_stories_within_a_day() -> None:
    rival = StaticCounter([report(hours, "Acme") for hours in (0, 10, 25, 30, 31)])
    assert [notification.at for notification in rival.notifications(0.5)] == [at(30)]
    assert rival.notifications(0.95) == []


def test_three_sigma_and_ewma_tell_a_burst_and_not_its_beginning() -> None:
    quiet = [report(25.0 * day, "Acme", article=f"day {day}") for day in range(20)]
    burst = [report(500 + hour, "Acme", article=f"hour {hour}") for hour in range(8)]
    for rival in (ThreeSigma([*quiet, *burst]), Ewma([*quiet, *burst])):
        (notification,) = rival.notifications(4.0)
        assert at(500) < notification.at <= at(508)


def test_a_knob_is_turned_to_the_number_of_notifications() -> None:
    stories = [report(100.0 * number, "Acme", adverse=number / 20) for number in range(20)]
    _, notifications = at_number(Ewma(stories), 7)
    assert len(notifications) == 7
    words = [letter * 3 for letter in "bcdefghijklmnopqrstu"]
    titles = [report(200.0 * number, f"Acme {word}") for number, word in enumerate(words)]
    setting, notifications = at_number(KeywordList(titles, lambda _: False, START, words), 5)
    assert (setting, len(notifications)) == (5, 5)
