"""How the silences of an Alertmanager come to agree with the mutes of riskwire."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from riskwire.notify.alertmanager.silences import MutedSubject, SilencePlan, Silences, plan_silence
from riskwire.records import Decision
from riskwire.settings import NotifySettings

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
END = NOW + timedelta(hours=4)
MUTE = MutedSubject("target:entity:a", END.timestamp(), "ada", "", NOW.timestamp())
NOTHING = SilencePlan(None, ())


def silence(mute: MutedSubject, state: str = "active", number: int = 1, **changes: Any) -> dict[str, Any]:
    """Returns a silence as the API lists it."""
    return mute.silence(NOW) | {"id": f"s{number}", "status": {"state": state}} | changes


def test_a_mute_without_its_silence_makes_one_that_matches_the_labels_of_alerts() -> None:
    plan = plan_silence(MUTE, [], NOW)
    assert plan.create is not None
    assert {(row["name"], row["value"]) for row in plan.create["matchers"]} == {
        ("alertname", "riskwire"),
        ("target", "entity:a"),
    }
    assert plan.create["endsAt"] == END.isoformat()
    spikes = plan_silence(replace(MUTE, subject="type:spike"), [], NOW).create
    assert spikes is not None
    assert ("kind", "spike") in {(row["name"], row["value"]) for row in spikes["matchers"]}


def test_a_mute_that_has_its_silence_makes_no_second_one() -> None:
    assert plan_silence(MUTE, [silence(MUTE)], NOW) == NOTHING
    rounded = silence(MUTE, endsAt=(END + timedelta(milliseconds=300)).isoformat())
    assert plan_silence(MUTE, [rounded], NOW) == NOTHING


def test_a_silence_of_somebody_else_is_not_touched() -> None:
    theirs = silence(MUTE, comment="maintenance", createdBy="bob", number=7)
    plan = plan_silence(MUTE, [theirs], NOW)
    assert plan.create is not None
    assert plan.end == ()


def test_of_two_silences_of_one_mute_one_is_ended() -> None:
    """The same one whatever the order of the list: two members of a cluster may be asked at once."""
    both = [silence(MUTE, number=1), silence(MUTE, number=2)]
    assert plan_silence(MUTE, both, NOW) == plan_silence(MUTE, both[::-1], NOW) == SilencePlan(None, ("s2",))


def test_a_newer_mute_of_the_subject_replaces_the_silence() -> None:
    newer = replace(MUTE, until=(END + timedelta(hours=1)).timestamp(), at=MUTE.at + 60)
    plan = plan_silence(newer, [silence(MUTE)], NOW)
    assert plan.create is not None
    assert plan.end == ("s1",)


@pytest.mark.parametrize("over", [replace(MUTE, ended=True), replace(MUTE, until=NOW.timestamp() - 1)])
def test_a_mute_that_is_over_ends_its_silence(over: MutedSubject) -> None:
    assert plan_silence(over, [silence(MUTE)], NOW) == SilencePlan(None, ("s1",))
    assert plan_silence(over, [silence(MUTE, "expired")], NOW) == NOTHING
    assert plan_silence(over, [], NOW) == NOTHING


def test_a_silence_that_a_person_ended_in_alertmanager_stays_ended() -> None:
    assert plan_silence(MUTE, [silence(MUTE, "expired")], NOW) == NOTHING
    again = replace(MUTE, at=MUTE.at + 60)
    assert plan_silence(again, [silence(MUTE, "expired")], NOW).create is not None


def test_a_mute_without_end_has_a_silence_without_a_near_end() -> None:
    endless = replace(MUTE, until=None)
    created = plan_silence(endless, [], NOW).create
    assert created is not None
    assert datetime.fromisoformat(created["endsAt"]) > NOW + timedelta(days=3_000)
    assert plan_silence(endless, [silence(endless)], NOW + timedelta(days=30)) == NOTHING


async def test_mutes_that_no_label_tells_are_not_silences_and_the_others_survive_a_restart() -> None:
    def silences(state: dict[str, bytes]) -> Silences:
        return Silences(state, [], NotifySettings(), lambda: NOW)

    before = silences({})
    for subject in ("type:bankruptcy", "publisher:Reuters", "target:entity:a", "type:slide"):
        before.take(Decision(decision="mute", subject=subject, by="ada", at=NOW, until=END))
    before.take(Decision(decision="unmute", subject="type:slide", by="ada", at=NOW))
    before.take(Decision(decision="unmute", subject="target:entity:b", by="ada", at=NOW))
    state = {key: value for key, value in before.take_changes().items() if value is not None}
    assert set(state) == {"silence:target:entity:a", "silence:type:slide"}
    assert silences(state).take_changes() == {}
