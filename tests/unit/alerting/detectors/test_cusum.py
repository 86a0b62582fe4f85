"""The slide detector: what it finds, what it passes over, and that its state is bounded and exact."""

from __future__ import annotations

import random
from dataclasses import asdict

from riskwire.alerting.baseline import Rate
from riskwire.alerting.detectors.cusum import DAY_MS, HALF_LIFE_MS, Cusum, dispersion, slide_threshold, usual_rate

STORIES_A_DAY = 100
"""Stories of the whole stream."""
LIMIT = slide_threshold(0.005)


def belief(per_day: float, days: float = 60.0) -> tuple[Rate, ...]:
    """Returns the belief after `days` with `per_day` adverse stories a day."""
    return (Rate(1.0, per_day * days + 0.25, days * STORIES_A_DAY),)


def after(per_day: list[int], usual: tuple[Rate, ...]) -> Cusum:
    """Returns the sum after days with so many adverse stories each, all at the end of their day."""
    cusum = Cusum()
    for day, adverse in enumerate(per_day, start=20_000):
        if adverse:
            cusum.add((day + 1) * DAY_MS - 1, adverse, (day + 1) * STORIES_A_DAY, usual, STORIES_A_DAY)
    return cusum


def surprises(per_day: list[int], usual: tuple[Rate, ...]) -> list[float]:
    """Returns the surprise after each day."""
    return [after(per_day[: day + 1], usual).surprise((20_000 + day + 1) * DAY_MS - 1) for day in range(len(per_day))]


def test_bad_news_that_triples_over_weeks_is_found_and_its_usual_amount_is_not() -> None:
    rng = random.Random(1)
    usual = belief(1.0)
    calm = [rng.choice((0, 1, 2)) for _ in range(60)]
    worse = [rng.choice((2, 3, 4)) for _ in range(28)]
    assert max(surprises(calm, usual)) < LIMIT / 2
    assert max(surprises(calm + worse, usual)) > LIMIT


def test_one_day_with_a_hundred_stories_is_no_slide() -> None:
    """A burst is for the rate detector."""
    assert after([0] * 20 + [100], belief(0.2)).surprise(0) < LIMIT / 2


def test_two_stories_on_a_quiet_name_are_no_slide() -> None:
    assert max(surprises([1] + [0] * 9 + [1], belief(0.01))) < LIMIT / 2


def test_a_name_with_a_short_past_needs_more_stories_than_one_that_is_known() -> None:
    daily = [1] * 12
    assert after(daily, belief(0.2, days=3)).surprise(0) < after(daily, belief(0.2, days=300)).surprise(0)


def test_more_news_altogether_is_no_slide() -> None:
    """Three times the adverse stories among three times the stories of the stream are the usual share."""
    usual, cusum = belief(0.5), Cusum()
    for day in range(40):
        cusum.add(day * DAY_MS, (1, 2)[day % 2], day * 3 * STORIES_A_DAY, usual, 3 * STORIES_A_DAY)
    assert cusum.surprise(40 * DAY_MS) < LIMIT / 2


def test_the_reference_stays_while_the_sum_builds_up_and_is_read_again_after_it() -> None:
    cusum = Cusum()
    cusum.add(DAY_MS, 2, 100, belief(0.1), STORIES_A_DAY)
    rate = cusum.rate
    cusum.add(2 * DAY_MS, 2, 200, belief(5.0), STORIES_A_DAY)
    assert cusum.rate == rate == usual_rate(belief(0.1))
    cusum.reset()
    cusum.add(3 * DAY_MS, 1, 300, belief(5.0), STORIES_A_DAY)
    assert cusum.rate == usual_rate(belief(5.0))
    assert (cusum.adverse, cusum.since_ms) == (1, 3 * DAY_MS)


def test_the_sum_is_halved_in_four_weeks_without_news() -> None:
    cusum = after([2] * 10, belief(0.1))
    assert cusum.surprise(cusum.at_ms + HALF_LIFE_MS) == cusum.surprise(cusum.at_ms) / 2


def test_the_end_of_a_slide_is_when_the_sum_falls_below_the_given_surprise() -> None:
    cusum = after([2] * 10, belief(0.1))
    limit = cusum.surprise(cusum.at_ms) / 3
    end_ms = cusum.falls_below_ms(limit)
    assert cusum.surprise(end_ms - 1) >= limit > cusum.surprise(end_ms + 1)
    assert cusum.falls_below_ms(10 * limit) == cusum.at_ms
    cusum.cap(2 * limit)
    assert cusum.falls_below_ms(limit) == cusum.at_ms + HALF_LIFE_MS


def test_the_sum_follows_from_what_came_in_each_bucket_and_restores_exactly() -> None:
    """Copying the state between any two updates changes nothing."""
    rng = random.Random(2)
    uninterrupted = restored = Cusum()
    restored = Cusum(**asdict(uninterrupted))
    for step in range(200):
        at = step * DAY_MS // 3
        adverse = rng.choice((0, 0, 1, 3))
        if adverse:
            uninterrupted.add(at, adverse, step * 30, belief(0.4), STORIES_A_DAY)
            restored.add(at, adverse, step * 30, belief(0.4), STORIES_A_DAY)
        restored = Cusum(**asdict(restored))
    assert restored == uninterrupted


def test_time_that_goes_back_changes_nothing() -> None:
    cusum = after([1] * 5, belief(0.1))
    at_ms, exposure, level = cusum.at_ms, cusum.exposure, cusum.level
    cusum.add(at_ms - DAY_MS, 0, exposure - 10, belief(0.1), STORIES_A_DAY)
    assert (cusum.at_ms, cusum.exposure, cusum.level) == (at_ms, exposure, level)


def test_a_busy_target_is_more_dispersed() -> None:
    assert dispersion(0.1) == dispersion(1.0) < dispersion(10.0)
