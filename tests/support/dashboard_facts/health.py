"""Facts of the dashboards *Pipeline* and *Feeds*: one process replays an archive, another polls two feeds.

One record of the replay cannot be read and becomes a dead letter. Of the feeds, `wire` answers and `gone` does not.
"""

from __future__ import annotations

from dashboard_facts.fact import PanelFact, largest, newest, only, values
from riskwire.pipeline import STAGES

_STAGES = {stage.name for stage in STAGES}

PIPELINE = {
    "Processes up": PanelFact("Both processes are up.", lambda answers: only(answers[0], "value") == 2, None),
    "Lag": PanelFact("Few records are unread, such as a tick.", lambda answers: only(answers[0], "value") < 50, None),
    "Dead letters": PanelFact(
        "The record that cannot be read is counted.", lambda answers: only(answers[0], "value") > 0, None
    ),
    "Clock offset": PanelFact("The clock is right.", lambda answers: only(answers[0], "value") < 60, None),
    "Blind targets": PanelFact(
        "Some targets are blind, because their sources fell silent before the last stories.",
        lambda answers: only(answers[0], "value") > 0,
        None,
    ),
    "Oldest figures": PanelFact("The figures are fresh.", lambda answers: 0 <= only(answers[0], "value") < 180, None),
    "Firing alerts": PanelFact(
        "The watchdog fires.",
        lambda answers: values(answers[0], "value", alertname="RiskwireWatchdog", severity="none") == [1],
        None,
    ),
    "Records by stage": PanelFact(
        "infer and the sinks have read records.",
        lambda answers: all(largest(answers[0], stage=stage) > 0 for stage in ("infer", "alert", "sink-analyses")),
        None,
    ),
    "Lag by stage": PanelFact(
        "Every stage has read everything at some time.",
        lambda answers: all(min(values(answers[0], "value", stage=stage)) == 0 for stage in _STAGES),
        None,
    ),
    "Age of news": PanelFact(
        "News of the feed was stored, after a time.",
        lambda answers: largest(answers[0], stage="sink-analyses") > 0,
        None,
    ),
    "Time of a batch": PanelFact(
        "infer takes time for a batch, and so does the sink of its results.",
        lambda answers: all(largest(answers[0], stage=stage) > 0 for stage in ("infer", "sink-analyses")),
        None,
    ),
    "Time of a commit": PanelFact(
        "Every stage that reads articles commits.",
        lambda answers: largest(answers[0], stage="infer") > 0 and largest(answers[0], stage="alert") > 0,
        None,
    ),
    "Error budgets": PanelFact(
        "The dead letter burns the budget of records, over either window.",
        lambda answers: all(largest(rows, slo="records") > 0 for rows in answers),
        None,
    ),
    "Errors": PanelFact(
        "infer has an error and a dead letter.",
        lambda answers: all(largest(rows, stage="infer") > 0 for rows in answers),
        None,
    ),
    "Memory": PanelFact(
        "Both processes show their memory.",
        lambda answers: len({row["instance"] for row in answers[0] if row["value"] > 1e7}) == 2,
        None,
    ),
    "Processor time": PanelFact(
        "Both processes show their processor time.",
        lambda answers: len({row["instance"] for row in answers[0]}) == 2 and largest(answers[0]) > 0,
        None,
    ),
    "Backpressure": PanelFact(
        "The replay waits, because articles has a small backlog.",
        lambda answers: largest(answers[0], topic="articles") > 0,
        None,
    ),
}

FEEDS = {
    "Feeds that work": PanelFact("One of two feeds works.", lambda answers: only(answers[0], "value") == 0.5, None),
    "Feeds without dates": PanelFact(
        "No feed has dates that cannot be read.", lambda answers: only(answers[0], "value") == 0, None
    ),
    "Feeds with old news only": PanelFact(
        "No feed has only old news.", lambda answers: only(answers[0], "value") == 0, None
    ),
    "Faulty documents": PanelFact("All documents are whole.", lambda answers: only(answers[0], "value") == 0, None),
    "Repaired documents": PanelFact("No document was repaired.", lambda answers: only(answers[0], "value") == 0, None),
    "Unknown dates": PanelFact("The items have no date.", lambda answers: only(answers[0], "value") > 0, None),
    "Feeds by state": PanelFact(
        "One of two feeds fails.",
        lambda answers: (
            sum(values(newest(answers[0]), "value")) == 2
            and values(newest(answers[0]), "value", state="failing") == [1]
        ),
        None,
    ),
    "Fetches": PanelFact(
        "Feeds are fetched, with more than one outcome.",
        lambda answers: len({row["outcome"] for row in answers[0] if row["value"] > 0}) > 1,
        None,
    ),
    "Articles and skipped entries": PanelFact(
        "New articles are published.", lambda answers: largest(answers[0], kind="new") > 0, None
    ),
    "Feeds that do not answer": PanelFact(
        "The feed that is gone comes first, the other one has answered.",
        lambda answers: (
            [row["feed"] for row in answers[0]] == ["gone", "wire"]
            and answers[0][1]["value"] < 900 < answers[0][0]["value"]
        ),
        None,
    ),
    "From published to seen": PanelFact(
        "An item was seen within an hour of its publication.",
        lambda answers: all(0 < largest(rows) < 3_600 for rows in answers),
        None,
    ),
    "Articles": PanelFact(
        "The articles of the day of the crisis are new.",
        lambda answers: sum(values(answers[0], "new")) > 15 and sum(values(answers[0], "backfill")) == 0,
    ),
    "Articles by source": PanelFact(
        "harborwire, which told of the recall, is among the sources.",
        lambda answers: values(answers[0], "articles", source="harborwire")[0] >= 1,
    ),
    "Silent sources": PanelFact(
        "Every source of the replay has a newest article.",
        lambda answers: (
            "harborwire" in {row["source"] for row in answers[0]} and all(row["newest"] for row in answers[0])
        ),
    ),
}


def _states(answers: list[list[dict[str, object]]]) -> set[object]:
    """Returns the states of feeds that the answer shows."""
    return {row["state"] for row in answers[0]}
