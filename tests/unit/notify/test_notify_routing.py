"""Which receivers an alert is routed to, and routes that lead nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from riskwire.errors import SettingsError
from riskwire.notify import NotifyStage
from riskwire.records import Alert
from riskwire.settings import NotifySettings, ReceiverSettings, RouteSettings

MakeAlert = Callable[..., Alert]


def stage_with(*routes: dict[str, Any]) -> NotifyStage:
    """Returns a stage with the receivers desk and oncall, the routes, and a webhook without a name."""
    receivers = {
        name: ReceiverSettings(webhook=SecretStr(f"https://{name}.example/hook")) for name in ("desk", "oncall")
    }
    settings = NotifySettings(
        receivers=receivers,
        webhooks=(SecretStr("https://all.example/hook"),),
        routes=tuple(RouteSettings(**route) for route in routes),
    )
    return NotifyStage(settings)


def routed(stage: NotifyStage, alert: Alert) -> set[str]:
    """Returns the named receivers of an alert; the one without a name must be among its receivers."""
    receivers = [stage.receivers[name] for name in stage.routing.receivers_of(alert)]
    assert "" in {receiver.setting for receiver in receivers}
    assert len(receivers) == len({receiver.name for receiver in receivers})
    return {receiver.setting for receiver in receivers if receiver.setting}


def test_without_routes_every_receiver_gets_every_alert(alert: MakeAlert) -> None:
    assert routed(stage_with(), alert()) == {"desk", "oncall"}


def test_a_receiver_that_a_route_names_gets_only_what_its_routes_match(alert: MakeAlert) -> None:
    stage = stage_with({"to": ["oncall"], "tiers": ["page"]})
    assert routed(stage, alert(tier="page")) == {"desk", "oncall"}
    assert routed(stage, alert(tier="notice")) == {"desk"}


@pytest.mark.parametrize(
    ("condition", "matching", "other"),
    [
        ({"groups": ["banks", "autos"]}, {"groups": ("autos",)}, {"groups": ("airlines",)}),
        ({"tiers": ["page"]}, {"tier": "page"}, {"tier": "notice"}),
        ({"kinds": ["event", "slide"]}, {"kind": "slide"}, {"kind": "spike"}),
        ({"types": ["bankruptcy"]}, {"events": ("default", "bankruptcy")}, {"events": ("recall",)}),
        ({"min_severity": "high"}, {"severity": "critical"}, {"severity": "warning"}),
    ],
    ids=["group", "tier", "kind", "type", "severity"],
)
def test_a_route_takes_alerts_by_each_condition(
    alert: MakeAlert, condition: dict[str, Any], matching: dict[str, Any], other: dict[str, Any]
) -> None:
    stage = stage_with({"to": ["oncall"], **condition})
    assert "oncall" in routed(stage, alert(**matching))
    assert "oncall" not in routed(stage, alert(**other))


def test_all_conditions_of_a_route_must_be_met(alert: MakeAlert) -> None:
    stage = stage_with({"to": ["oncall"], "tiers": ["page"], "groups": ["banks"]})
    assert "oncall" in routed(stage, alert(tier="page", groups=("banks",)))
    assert "oncall" not in routed(stage, alert(tier="page", groups=("autos",)))
    assert "oncall" not in routed(stage, alert(tier="notice", groups=("banks",)))


def test_every_route_that_matches_counts_and_a_receiver_is_named_once(alert: MakeAlert) -> None:
    stage = stage_with({"to": ["oncall", "desk"], "tiers": ["page"]}, {"to": ["desk"], "kinds": ["event"]})
    assert routed(stage, alert(tier="page", kind="event")) == {"desk", "oncall"}
    assert routed(stage, alert(tier="notice", kind="event")) == {"desk"}
    assert routed(stage, alert(tier="notice", kind="spike")) == set()


def test_a_route_to_an_unknown_receiver_is_refused_with_the_name_that_may_be_meant() -> None:
    with pytest.raises(SettingsError, match=r"notify\.routes\[1\]\.to: .*'onkall'.*Did you mean oncall\?"):
        stage_with({"to": ["desk"]}, {"to": ["onkall"]})
    with pytest.raises(SettingsError, match=r"notify\.receivers has: desk, oncall"):
        stage_with({"to": ["pager"]})


def with_escalation(name: str) -> NotifyStage:
    """Returns a stage with the receivers desk and chief, and pages passed on to the receiver of a name."""
    receivers = {
        name: ReceiverSettings(webhook=SecretStr(f"https://{name}.example/hook")) for name in ("desk", "chief")
    }
    return NotifyStage(NotifySettings(receivers=receivers, escalate_to=(name,)))


def test_a_receiver_of_escalation_gets_only_what_is_passed_on(alert: MakeAlert) -> None:
    routing = with_escalation("chief").routing
    assert (routing.receivers_of(alert()), routing.second) == (["webhook:desk"], ["webhook:chief"])


def test_an_unknown_receiver_of_escalation_is_named() -> None:
    with pytest.raises(SettingsError, match=r"notify\.escalate_to.*'chef'.*Did you mean chief"):
        with_escalation("chef")
