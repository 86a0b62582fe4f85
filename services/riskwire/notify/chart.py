"""The picture in a notification: a month of news about the target, with the usual amount of bad news and the alert."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from importlib.util import find_spec
from zoneinfo import ZoneInfo

from riskwire.errors import SettingsError
from riskwire.records import Alert
from riskwire.settings import NotifySettings
from riskwire.store import Trend

SPAN = timedelta(days=30)
"""The time before the alert that the chart shows."""
STEP = timedelta(hours=12)
"""The width of a bar."""
_SIZE = (7.0, 2.8)
"""Inches."""

TrendReader = Callable[[str, datetime, datetime, int], Awaitable[Trend | None]]
"""Returns the trend of a target between two times in steps of so many seconds, or None for an unknown target."""


def check_charts(settings: NotifySettings) -> None:
    """Checks that charts can be drawn, if a receiver wants them.

    Raises:
        SettingsError: matplotlib is not installed, or the receiver takes no pictures.
    """
    for name, receiver in settings.receivers.items():
        if receiver.chart and receiver.apprise is None:
            raise SettingsError("only a receiver with `apprise` takes a chart", where=f"notify.receivers.{name}.chart")
        if receiver.chart and find_spec("matplotlib") is None:
            raise SettingsError(
                "a chart needs matplotlib",
                where=f"notify.receivers.{name}.chart",
                do="Install the extra `report`: pip install 'riskwire[report]'",
            )


def wants_charts(settings: NotifySettings) -> bool:
    """Returns whether a receiver wants charts, for which the store is read."""
    return any(receiver.chart for receiver in settings.receivers.values())


async def trend_of_alert(alert: Alert, read_trend: TrendReader) -> Trend | None:
    """Returns the trend that the chart of an alert shows."""
    return await read_trend(alert.target, alert.at - SPAN, alert.at + STEP, int(STEP.total_seconds()))


def draw_chart(alert: Alert, trend: Trend, zone: ZoneInfo) -> bytes:
    """Returns a chart as PNG.

    Bars count the news by its sentiment toward the target, by the weights of the trend. The dashed line is the mean of
    bad news before the last day of the chart.

    Args:
        zone: the time zone of its axis.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num  # noqa: PLC0415 - an optional extra, and slow
    from matplotlib.figure import Figure  # noqa: PLC0415

    starts = [date2num(point.start) for point in trend.points]
    negative = [point.negative for point in trend.points]
    other_counts = [point.neutral + point.positive for point in trend.points]
    width = STEP.total_seconds() / 86_400 * 0.9
    figure = Figure(figsize=_SIZE, dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.bar(starts, negative, width, align="edge", color="#b3261e", label="bad news")
    axes.bar(starts, other_counts, width, align="edge", bottom=negative, color="#c8ccd4", label="other news")
    last_day = alert.at - timedelta(days=1)
    steps = (SPAN - timedelta(days=1)) / STEP
    usual = sum(point.negative for point in trend.points if point.start < last_day) / steps
    axes.axhline(usual, linestyle="--", linewidth=1, color="#5f6368", label="usual bad news")
    axes.axvline(date2num(alert.at), linewidth=1.2, color="black", label="alert")
    axes.set_xlim(date2num(alert.at - SPAN), date2num(alert.at + STEP))
    axes.xaxis_date(zone)
    locator = AutoDateLocator(tz=zone)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
    axes.set_title(f"{alert.name.replace('$', ' ')}: news in {STEP.total_seconds() / 3_600:.0f} hours", fontsize=10)
    axes.legend(fontsize=7, loc="upper left", frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
