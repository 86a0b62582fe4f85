"""Queries are expanded as Grafana expands them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from riskwire_dashboards.expansion import (
    TimeRange,
    built_in_variables,
    interval_of,
    interval_text,
    length_ms,
    with_macros,
    with_variables,
)

START = datetime(2031, 3, 31, tzinfo=UTC)
DAY = TimeRange(START, START + timedelta(days=1))
START_S = int(START.timestamp())


@pytest.mark.parametrize(
    ("sql", "expanded"),
    [
        ("$__timeFilter(at)", "at BETWEEN '2031-03-31T00:00:00Z' AND '2031-04-01T00:00:00Z'"),
        ("$__timeFrom()", "'2031-03-31T00:00:00Z'"),
        ("$__timeTo()", "'2031-04-01T00:00:00Z'"),
        ("$__timeGroup(at, 15m)", "floor(extract(epoch from at)/900)*900"),
        ("$__timeGroup(at, '1h')", "floor(extract(epoch from at)/3600)*3600"),
        ("$__timeGroupAlias(at, 1h)", 'floor(extract(epoch from at)/3600)*3600 AS "time"'),
        ("$__unixEpochGroup(ms / 1000, 500ms)", "floor((ms / 1000)/0.5)*0.5"),
        ("$__unixEpochGroupAlias(s, 1d)", 'floor((s)/86400)*86400 AS "time"'),
        ("$__unixEpochFilter(s)", f"s >= {START_S} AND s <= {START_S + 86_400}"),
        ("$__unixEpochNanoFrom() / 1000000", f"{START_S * 10**9} / 1000000"),
        ("$__unixEpochNanoTo()", f"{(START_S + 86_400) * 10**9}"),
        ("$__time(at)", 'at AS "time"'),
    ],
)
def test_a_macro_becomes_what_grafana_makes_of_it(sql: str, expanded: str) -> None:
    assert with_macros(sql, DAY) == expanded


def test_an_unknown_macro_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no macro \$__timeFitler"):
        with_macros("SELECT 1 WHERE $__timeFitler(at)", DAY)


def test_the_arguments_of_a_macro_end_at_the_first_parenthesis() -> None:
    """As in Grafana. So a panel that calls a function there fails in its test, and not first in Grafana."""
    assert with_macros("$__unixEpochFilter(to_seconds(ms))", DAY).count("(") == 2


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$target", "it's"),
        ("${target}", "it's"),
        ("[[target]]", "it's"),
        ("${target:raw}", "it's"),
        ("${target:sqlstring}", "'it''s'"),
        ("$targets $__timeTo() ${__data.fields.url}", "$targets $__timeTo() ${__data.fields.url}"),
    ],
)
def test_a_variable_is_replaced_in_its_format(text: str, expanded: str) -> None:
    assert with_variables(text, {"target": "it's"}) == expanded


@pytest.mark.parametrize(
    ("days", "least", "interval"),
    [(1, "1s", "2m"), (1, "1h", "1h"), (7, "15s", "15m"), (30, "1h", "1h"), (365, "1s", "12h")],
)
def test_the_interval_follows_the_time_range_and_has_a_least(days: int, least: str, interval: str) -> None:
    period = TimeRange(START, START + timedelta(days=days))
    assert interval_text(interval_of(period, 800, length_ms(least))) == interval


def test_the_rate_interval_covers_four_scrapes() -> None:
    variables = built_in_variables(DAY, length_ms("15s"))
    assert variables["__rate_interval"] == "1m"
    assert variables["__range"] == "86400s"
    assert built_in_variables(DAY, length_ms("2m"))["__rate_interval"] == "135s"


def test_an_interval_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="'soon' is no interval"):
        length_ms("soon")
