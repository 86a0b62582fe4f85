"""From which weight of its target a notice is a page, and below which a page is a notice."""

from __future__ import annotations

from pathlib import Path

import pytest
from timeline import Timeline, burst, event, mark

from riskwire.alerting.events import load_rules
from riskwire.errors import SettingsError
from riskwire.records import Alert, Signal
from riskwire.settings import AlertingSettings


def timeline_of(tmp_path: Path, rule: str) -> Timeline:
    """Returns a timeline whose file of rules has this part `weights`."""
    path = tmp_path / "rules.yaml"
    path.write_text(f"weights: {rule}")
    return Timeline(AlertingSettings(rules=path))


def weighing(signal: Signal, weight: float) -> Signal:
    return signal.model_copy(update={"weight": weight})


def notice(weight: float, at_h: float = 9) -> Signal:
    """Returns a signal that is a notice by the rules that ship."""
    return weighing(event(at_h, f"Acme recalls cars at {at_h}", "recall"), weight)


def page(weight: float, at_h: float = 9) -> Signal:
    """Returns a signal that is a page by the rules that ship."""
    return weighing(event(at_h, f"Acme files for bankruptcy at {at_h}", "bankruptcy"), weight)


def told(timeline: Timeline, signal: Signal) -> Alert:
    """Returns the record to which a signal leads."""
    timeline.feed(signal, mark(11))
    return timeline.alerts[-1]


def test_an_alert_has_the_weight_of_its_target_and_without_a_rule_its_tier_does_not_follow(tmp_path: Path) -> None:
    alert = told(Timeline(), notice(1_000.0))
    assert (alert.weight, alert.tier, alert.severity) == (1_000.0, "notice", "warning")


@pytest.mark.parametrize(
    ("rule", "signal", "tier", "severity"),
    [
        ("{page_from: 5}", notice(5.0), "page", "high"),
        ("{page_from: 5}", notice(4.9), "notice", "warning"),
        ("{page_from: 5}", page(0.0), "page", "critical"),
        ("{notice_below: 0.5}", page(0.4), "notice", "warning"),
        ("{notice_below: 0.5}", page(0.5), "page", "critical"),
        ("{notice_below: 0.5, page_from: 0.5}", notice(0.5), "page", "high"),
        ("{page_from: 0}", notice(0.0), "page", "high"),
    ],
)
def test_the_weight_decides_between_notice_and_page(
    tmp_path: Path, rule: str, signal: Signal, tier: str, severity: str
) -> None:
    alert = told(timeline_of(tmp_path, rule), signal)
    assert (alert.tier, alert.severity) == (tier, severity)


def test_an_alert_says_that_its_weight_decided(tmp_path: Path) -> None:
    alert = told(timeline_of(tmp_path, "{page_from: 5}"), notice(12.5))
    assert alert.would_not_fire.endswith("Its weight, 12.5, makes it a page; below 5 it would be a notice.")
    assert "weight" not in told(Timeline(), notice(12.5)).would_not_fire


def test_a_line_of_the_digest_stays_one(tmp_path: Path) -> None:
    line = weighing(event(9, "Broker cuts Acme to sell", "broker_downgrade"), 100.0)
    assert told(timeline_of(tmp_path, "{page_from: 5}"), line).tier == "digest"


def test_spikes_of_heavy_targets_are_pages_as_well(tmp_path: Path) -> None:
    timeline = timeline_of(tmp_path, "{page_from: 5}")
    timeline.quiet(0, 720)
    timeline.feed(*[record if not isinstance(record, Signal) else weighing(record, 5.0) for record in burst(721, 6)])
    timeline.quiet(725, 726)
    assert {(alert.kind, alert.tier) for alert in timeline.alerts} == {("spike", "page")}
    assert {alert.weight for alert in timeline.alerts} == {5.0}


def test_a_weight_that_changes_counts_from_the_next_record_on_and_the_end_has_the_last_one(tmp_path: Path) -> None:
    """The first story comes at weight 1, a worse one after the entry was changed to 8. A restart changes nothing."""
    for restarts in (False, True):
        timeline = timeline_of(tmp_path, "{page_from: 5}")
        timeline.quiet(0, 8)
        timeline.feed(weighing(event(9, "Acme is investigated", "investigation"), 1.0), mark(10, (9,)))
        if restarts:
            timeline.restart()
        timeline.feed(weighing(event(10, "Acme pays a fine", "penalty"), 8.0), mark(11, (10,)))
        timeline.quiet(12, 12 + 4 * 24)
        changes = [(alert.status, alert.weight, alert.tier) for alert in timeline.alerts]
        assert changes == [("firing", 1.0, "notice"), ("escalated", 8.0, "page"), ("resolved", 8.0, "page")]


def test_history_does_not_change_the_weight(tmp_path: Path) -> None:
    """The weight stays, also if a story of the past is published after the entry was changed."""
    timeline = timeline_of(tmp_path, "{page_from: 5}")
    timeline.feed(notice(8.0), weighing(event(8, "Acme recalled toys", "recall", history=True), 1.0), mark(11))
    assert [alert.tier for alert in timeline.alerts] == ["page"]
    assert timeline.book.targets["entity:acme"].weight == 8.0
    timeline.restart()
    assert timeline.book.targets["entity:acme"].weight == 8.0


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{page_from: -1}", "weights.page_from: .*got -1"),
        ("{page_from: .inf}", "weights.page_from: .*got inf"),
        ("{notice_below: much}", "weights.notice_below: .*got 'much'"),
        ("{page_above: 3}", "weights.page_above: there is no such rule.*Did you mean page_from"),
        ("{page_from: 2, notice_below: 3}", "weights.notice_below: above weights.page_from, which is 2.*got 3"),
    ],
)
def test_a_wrong_rule_is_refused_by_value_and_place(tmp_path: Path, rule: str, message: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(f"weights: {rule}")
    with pytest.raises(SettingsError, match=message) as refused:
        load_rules(path)
    assert "rules.yaml" in str(refused.value)
