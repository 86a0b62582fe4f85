"""A resolved alert says what it was about, since its receivers may not have the first notification any more."""

from __future__ import annotations

import pytest

from riskwire.alerting.explain import resolved


@pytest.mark.parametrize("blind", [False, True])
def test_a_resolved_alert_keeps_what_it_was_about(blind: bool) -> None:
    text = resolved("Acme", 259_200, blind, "Acme: 5 negative stories in 6 h, 0.8 expected.")
    assert text.startswith("Acme: no")
    assert text.endswith("It was: 5 negative stories in 6 h, 0.8 expected.")
