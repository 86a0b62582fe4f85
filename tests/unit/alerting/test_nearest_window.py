"""Trend points carry the window of their target that was nearest to firing."""

from __future__ import annotations

from timeline import Timeline, burst, mark, signal

from riskwire.alerting.detectors.rate_detector import Prediction, WindowVerdict, threshold
from riskwire.alerting.trend import TrendMinute, nearest_window
from riskwire.records import NearestWindow, TrendPoint
from riskwire.settings import AlertingSettings


def verdict(window_s: int, negative: int, surprise: float) -> WindowVerdict:
    """Returns a verdict on a window with so many negative stories."""
    return WindowVerdict(window_s, negative, Prediction(()), surprise, 0.0)


def test_the_limit_that_a_window_is_farther_from_decides_how_near_it_is() -> None:
    surprising, many, both = verdict(21_600, 1, 3.0), verdict(86_400, 9, 0.4), verdict(3_600, 2, 2.0)

    nearest = nearest_window([surprising, many, both], 4.0, 3)

    assert nearest == NearestWindow(window_s=3_600, stories=2, min_stories=3, surprise=2.0, threshold=4.0)


def test_the_shortest_of_equally_near_windows_is_shown() -> None:
    assert nearest_window([verdict(86_400, 1, 1.0), verdict(21_600, 1, 1.0)], 4.0, 3).window_s == 21_600


def test_a_point_shows_how_near_its_target_was_to_firing() -> None:
    timeline = Timeline()
    timeline.quiet(0.0, 48.0)
    timeline.feed(*burst(50.0, 2))
    timeline.quiet(51.0, 52.0)

    nearest = timeline.trends[-1].nearest

    settings = AlertingSettings()
    assert nearest is not None
    assert (nearest.stories, nearest.min_stories, nearest.window_s) == (2, settings.min_stories, 21_600)
    assert 0 < nearest.surprise <= nearest.threshold == round(threshold(settings.budget.notice, settings.windows_s), 3)
    assert nearest.surprise <= timeline.trends[-1].surprise


def test_a_target_with_good_news_alone_has_an_empty_window() -> None:
    timeline = Timeline()
    timeline.feed(signal(1.0, negative=0.0), mark(1.0, (1.0,)))
    timeline.quiet(2.0, 3.0)

    nearest = timeline.trends[-1].nearest

    assert nearest is not None
    assert (nearest.stories, nearest.surprise) == (0, 0.0)


def test_a_restart_keeps_the_nearest_window_of_a_minute_that_has_not_ended() -> None:
    minute = TrendMinute("entity:acme", 0)
    minute.judged(1.5, nearest_window([verdict(21_600, 2, 1.5)], 4.0, 3))
    minute.judged(0.5, nearest_window([verdict(21_600, 9, 0.5)], 4.0, 3))

    again = TrendMinute.decoded(minute.encoded())

    assert again == minute
    assert again.point().nearest is not None
    assert TrendPoint.model_validate_json(again.point().to_bytes()) == again.point()
