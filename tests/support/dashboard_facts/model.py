"""Facts of the dashboard *Model*."""

from __future__ import annotations

from dashboard_facts.fact import CALM_WEEK, CRISIS_DAY, Answers, PanelFact, largest, only, values


def _shares(answers: Answers) -> bool:
    """Returns whether both columns are shares that sum to 1."""
    return all(abs(sum(values(answers[0], column)) - 1) < 0.001 for column in ("reference", "now"))


def _now(answers: Answers, label: str) -> tuple[float, float]:
    """Returns the share of a label in the reference, and in the time range."""
    return values(answers[0], "reference", label=label)[0], values(answers[0], "now", label=label)[0]


MODEL = {
    "Shift from the reference": PanelFact(
        "The levels of the day of the crisis are far from the reference.",
        lambda answers: values(answers[0], "index", compared="levels")[0] > 0.25 and len(answers[0]) == 3,
        CRISIS_DAY,
    ),
    "Bundles": PanelFact(
        "One bundle read all articles, and some were in another language.",
        lambda answers: answers[0][0]["bundle"].startswith("finance-en@") and len(answers[0]) == 1,
    ),
    "Levels": PanelFact(
        "On the day of the crisis more articles are material than in the reference.",
        lambda answers: _shares(answers) and _now(answers, "material")[1] > _now(answers, "material")[0],
    ),
    "Sentiments": PanelFact(
        "On the day of the crisis more articles are negative than in the reference.",
        lambda answers: _shares(answers) and _now(answers, "negative")[1] > _now(answers, "negative")[0],
    ),
    "Confidence": PanelFact(
        "The tenths are in order, and most levels are likelier than one half.",
        lambda answers: (
            _shares(answers)
            and [row["label"] for row in answers[0]] == sorted(row["label"] for row in answers[0])
            and sum(float(row["now"]) for row in answers[0] if float(row["label"]) >= 0.5) > 0.5
        ),
        CALM_WEEK,
    ),
    "Levels over time": PanelFact(
        "On the day of the crisis more articles are material than favourable.",
        lambda answers: (
            sum(values(answers[0], "articles", metric="material"))
            > sum(values(answers[0], "articles", metric="favourable"))
        ),
    ),
    "Mean confidence": PanelFact(
        "The confidence is a probability above a quarter.",
        lambda answers: all(0.25 < value <= 1 for value in values(answers[0], "level")) and answers[0] != [],
    ),
    "Event types": PanelFact(
        "On the day of the crisis more articles tell of recalls than in the reference.",
        lambda answers: _shares(answers) and _now(answers, "recall")[1] > _now(answers, "recall")[0],
    ),
    "Wait for the model": PanelFact("No article waits.", lambda answers: only(answers[0], "value") == 0, None),
    "Other languages": PanelFact(
        "Some articles are in another language.", lambda answers: only(answers[0], "value") > 0, None
    ),
    "Padding": PanelFact("Some tokens are padding.", lambda answers: 0 < only(answers[0], "value") < 1, None),
    "From the cache": PanelFact(
        "Some sentences were read before.", lambda answers: 0 <= only(answers[0], "value") < 1, None
    ),
    "Sentences": PanelFact("Sentences are computed.", lambda answers: largest(answers[0], result="computed") > 0, None),
    "Time of a run": PanelFact(
        "Half of the runs are not slower than 95 % of them.",
        lambda answers: 0 < largest(answers[0]) <= largest(answers[1]),
        None,
    ),
    "Devices": PanelFact(
        "The processes run the model on the CPU.",
        lambda answers: {row["device"] for row in answers[0]} == {"cpu"} and len(answers[0]) == 2,
        None,
    ),
}
