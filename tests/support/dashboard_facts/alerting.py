"""Facts of the dashboard *Alerts*. One alert of the day of the crisis is acknowledged ten minutes after it opened."""

from __future__ import annotations

from crisis_replay import ANSWER_S

from dashboard_facts.fact import CRISIS_DAY, NORVANE, WHOLE_REPLAY, PanelFact, largest, latest, only, values

ALERTS = {
    "Open": PanelFact("The bankruptcy is open.", lambda answers: only(answers[0], "open") >= 1),
    "Open pages": PanelFact("The bankruptcy is a page.", lambda answers: only(answers[0], "pages") == 1),
    "Unanswered pages": PanelFact("Nobody answered it.", lambda answers: only(answers[0], "unanswered") == 1),
    "Opened": PanelFact("On the day of the crisis an alert opens.", lambda answers: only(answers[0], "opened") >= 1),
    "Time to acknowledge": PanelFact(
        "The alert of the crisis was acknowledged after ten minutes.",
        lambda answers: only(answers[0], "median") == ANSWER_S,
    ),
    "Fetched to notified": PanelFact(
        "No receiver had an alert, because a replay notifies nobody.", lambda answers: answers[0] == [], None
    ),
    "Open alerts": PanelFact(
        "The bankruptcy comes first, as a page that nobody has acknowledged.",
        lambda answers: (
            answers[0][0]["name"] == NORVANE
            and answers[0][0]["type"] == "bankruptcy"
            and answers[0][0]["tier"] == "page"
            and answers[0][0]["acknowledged_by"] is None
        ),
    ),
    "Alerts by severity": PanelFact(
        "Several alerts fire or escalate on the day of the crisis.",
        lambda answers: (
            sum(values(answers[0], "alerts")) > 3
            and {row["metric"] for row in answers[0]} <= {"warning", "high", "critical"}
        ),
    ),
    "Rate beside budget": PanelFact(
        "The events of the replay are counted, and the budget of spikes is shown.",
        lambda answers: (
            any(row["rate"].startswith("event") and row["value"] > 0 for row in answers[0])
            and any(row["rate"].startswith("spike") and row["value"] > 0 for row in answers[1])
        ),
        None,
    ),
    "Alerts by type": PanelFact(
        "An investigation is among the types.",
        lambda answers: values(answers[0], "alerts", type="investigation")[0] >= 1,
    ),
    "Alerts by target": PanelFact(
        "Norvane Motors has the most alerts, all of one episode.",
        lambda answers: answers[0][0]["name"] == NORVANE and answers[0][0]["alerts"] == 1,
    ),
    "Near misses": PanelFact(
        "Some stories notified nobody, because the episode had told the same.",
        lambda answers: values(answers[0], "stories", reason="same episode")[0] >= 1,
        WHOLE_REPLAY,
    ),
    "Time to acknowledge by tier": PanelFact(
        "One alert was acknowledged, after ten minutes.",
        lambda answers: (
            sum(values(answers[0], "acknowledged")) == 1 and values(answers[0], "median_minutes") == [ANSWER_S / 60]
        ),
        CRISIS_DAY,
    ),
    "Deliveries": PanelFact(
        "Alerts of the replay were only logged, and none waits for a receiver.",
        lambda answers: latest(answers[1]) == 0 and largest(answers[1]) >= 0,
        None,
    ),
}
