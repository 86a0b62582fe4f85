"""Which signals count as adverse, with and without levels."""

from __future__ import annotations

import pytest
from timeline import signal

from riskwire.alerting.detectors.adverse import is_adverse
from riskwire.records import Level, Signal


def with_level(material: float, negative: float = 0.0, adverse_from: float | None = 0.6) -> Signal:
    """Returns a signal with a level, of which the rest is neutral."""
    level = Level(neutral=round(1 - material, 4), mild=0.0, material=material, favourable=0.0)
    return signal(0, negative=negative).model_copy(
        update={"level": level, "adverse": level.adverse, "adverse_from": adverse_from}
    )


@pytest.mark.parametrize(("material", "adverse"), [(0.59, False), (0.6, True)])
def test_the_threshold_of_the_bundle_decides_on_a_level(material: float, adverse: bool) -> None:
    assert is_adverse(with_level(material), negative_from=0.5) is adverse


def test_price_talk_with_a_neutral_level_is_not_adverse() -> None:
    assert not is_adverse(with_level(0.1, negative=0.95), negative_from=0.5)


def test_a_bundle_with_levels_and_without_a_threshold_counts_from_a_half() -> None:
    assert is_adverse(with_level(0.5, adverse_from=None), negative_from=0.9)
    assert not is_adverse(with_level(0.49, adverse_from=None), negative_from=0.1)


def test_a_bundle_without_levels_leaves_the_sentiment() -> None:
    assert is_adverse(signal(0, negative=0.5), negative_from=0.5)
    assert not is_adverse(signal(0, negative=0.49), negative_from=0.5)
