"""The evidence of an alert has level and event types of its signals, also after a restart."""

from __future__ import annotations

import orjson
import pytest
from timeline import Timeline, mark, signal

from riskwire.alerting.target_story import TargetStory, evidence_of
from riskwire.records import AlertEvidence, EventScore, Level

MATERIAL = Level(neutral=0.05, mild=0.13, material=0.8, favourable=0.02)
EVENTS = (EventScore(label="recall", score=0.88),)
RISK = {"level": MATERIAL, "adverse": 0.93, "events": EVENTS, "adverse_from": 0.4}


def test_an_alert_shows_level_and_events_of_its_stories() -> None:
    """Twelve negative stories within two hours fire. The task is restarted from its state before the last six."""
    timeline = Timeline()
    signals = [
        signal(1 + number / 6, source=f"s{number}", article=f"a{number}").model_copy(update=RISK)
        for number in range(12)
    ]
    timeline.feed(*signals[:6], mark(2))
    timeline.restart()
    timeline.feed(*signals[6:], mark(4))
    assert timeline.alerts
    for evidence in timeline.alerts[-1].evidence:
        assert {name: getattr(evidence, name) for name in RISK} == RISK


def test_the_evidence_of_a_signal_of_an_old_bundle_has_no_level() -> None:
    evidence = evidence_of(signal(1))
    assert (evidence.level, evidence.adverse, evidence.events) == (None, None, None)


def test_a_story_whose_state_was_written_without_levels_is_read() -> None:
    """The seventh element of a stored story is its evidence."""
    story = TargetStory("5f", 0, 0, -900_000, ("a1",), ("wire",))
    story.show(evidence_of(signal(1)))
    values = orjson.loads(orjson.dumps(story.encoded()))
    values[6] = {name: value for name, value in values[6].items() if name not in RISK}
    evidence = TargetStory.decoded(values).evidence
    assert isinstance(evidence, AlertEvidence)
    assert evidence.level is None


@pytest.mark.parametrize("weights", [[900_000, 60_000, 40_000], [0, 1_000_000, 0], [100_000, 200_000, 700_000]])
def test_the_balance_of_a_story_is_that_of_the_weights_in_the_state_and_any_version_reads_it(
    weights: list[int],
) -> None:
    values = ["5f", 0, None, weights, ["a1"], ["wire"], None, False, "", False]
    story = TargetStory.decoded(values)
    negative, _, positive = story.encoded()[3]
    assert positive - negative == story.balance == weights[2] - weights[0]
