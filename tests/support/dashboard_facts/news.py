"""Facts of the dashboards about the news: *Market mood* and *Company*. The company is Norvane Motors."""

from __future__ import annotations

from dashboard_facts.fact import (
    CRISIS_DAY,
    CRISIS_HOUR,
    NORVANE,
    TWO_WEEKS,
    Answers,
    PanelFact,
    Row,
    mean,
    values,
)


def _before_and_on(rows: list[Row], column: str) -> tuple[float, float]:
    """Returns the mean of a column before the day of the crisis, and on it."""
    start, end = CRISIS_DAY.since.timestamp(), CRISIS_DAY.until.timestamp()
    before = [row for row in rows if row["time"] < start]
    on = [row for row in rows if start <= row["time"] < end]
    return mean(values(before, column)), mean(values(on, column))


def _falls(answers: Answers, column: str) -> bool:
    before, on = _before_and_on(answers[0], column)
    return on < before - 0.3


def _rises(answers: Answers, column: str) -> bool:
    before, on = _before_and_on(answers[0], column)
    return on > before


def _mean_by(rows: list[Row], column: str) -> dict[str, float]:
    """Returns the mean of a column by series."""
    names = {row["metric"] for row in rows}
    return {name: mean(values(rows, column, metric=name)) for name in names}


def _worst_is(answers: Answers, name: str) -> bool:
    moods = _mean_by(answers[0], "mood")
    return len(moods) > 1 and min(moods, key=lambda name: moods[name]) == name


MARKET_MOOD = {
    "Mood of the market": PanelFact(
        "The mood of the market falls on the day of the crisis.", lambda answers: _falls(answers, "market"), TWO_WEEKS
    ),
    "Mood of the groups": PanelFact(
        "On the day of the crisis the carmakers are the worst group.", lambda answers: _worst_is(answers, "autos")
    ),
    "Mood of the topics": PanelFact(
        "On the day of the crisis there are several topics, and one of them is as bad as -0.5.",
        lambda answers: len(_mean_by(answers[0], "mood")) > 1 and min(values(answers[0], "mood")) < -0.5,
    ),
    "Targets by surprise": PanelFact(
        "In the hour of the crisis Norvane Motors tops the table.",
        lambda answers: answers[0][0]["name"] == NORVANE and answers[0][0]["target"] == "entity:norvane",
        CRISIS_HOUR,
    ),
    "Companies by level": PanelFact(
        "On the day of the crisis Norvane Motors has the most material stories, more than five.",
        lambda answers: answers[0][0]["name"] == NORVANE and answers[0][0]["material"] > 5,
    ),
    "Stories and articles": PanelFact(
        "On the day of the crisis there are more articles than stories, because outlets reprint.",
        lambda answers: sum(values(answers[0], "articles")) > sum(values(answers[0], "stories")) > 10,
    ),
    "Surprise of the market": PanelFact(
        "The surprise of the market rises on the day of the crisis.",
        lambda answers: max(values(answers[0], "surprise")) > 0,
    ),
}

COMPANY = {
    "Mood": PanelFact(
        "Before the crisis the mood is near its baseline, on its day far below.",
        lambda answers: _falls(answers, "mood") and mean(values(answers[0], "mean of the 28 days before")) > -0.5,
        TWO_WEEKS,
    ),
    "Surprise": PanelFact(
        "The surprise passes the threshold on the day of the crisis.",
        lambda answers: max(values(answers[0], "surprise")) > min(values(answers[0], "threshold of a notice")) > 0,
    ),
    "Stories": PanelFact(
        "The stories become more on the day of the crisis, and most are adverse.",
        lambda answers: (
            _rises(answers, "adverse stories")
            and sum(values(answers[0], "adverse stories")) > sum(values(answers[0], "stories")) / 2
        ),
        TWO_WEEKS,
    ),
    "Event types": PanelFact(
        "Stories tell of a recall and of an investigation.",
        lambda answers: {"recall", "investigation"} <= {row["metric"] for row in answers[0]},
    ),
    "Near misses": PanelFact(
        "Some stories notified nobody, because the episode had told the same.",
        lambda answers: sum(values(answers[0], "stories", reason="same episode")) >= 1,
    ),
    "Latest stories": PanelFact(
        "The recall is among the stories, with its level, its publisher and its address.",
        lambda answers: any(
            "recalls 410,000 cars" in row["title"]
            and row["level"] == "material"
            and row["publisher"] == "harborwire"
            and row["url"].startswith("https://")
            for row in answers[0]
        ),
    ),
    "Alerts": PanelFact(
        "The alert fires and escalates.",
        lambda answers: {row["status"] for row in answers[0]} == {"firing", "escalated"},
    ),
}

ALERT_MARKS = PanelFact(
    "The first mark is the alert that fires.",
    lambda answers: answers[0][0]["tags"].startswith("firing,") and NORVANE in answers[0][0]["text"],
)
