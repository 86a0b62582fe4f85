"""A message says what was wrong, with what value, where, why, and what to do: the same way for every error."""

from __future__ import annotations

import pytest
from aiokafka.errors import KafkaConnectionError

from riskwire.errors import BusError, RiskwireError


def because(cause: Exception) -> RiskwireError:
    error = BusError("no answer within 8 s", where="kafka://b-1:9092", do="Check that the brokers run")
    error.__cause__ = cause
    return error


def test_all_that_is_known_stands_in_one_order() -> None:
    error = RiskwireError("too large", value="x" * 300, where="articles[3]", do="Make it smaller")
    assert str(error) == f"articles[3]: too large (got '{'x' * 196}...). Make it smaller"


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (OSError("disk full"), "OSError: disk full"),
        (TimeoutError(), "TimeoutError"),
        (KafkaConnectionError("reset."), "KafkaConnectionError: reset"),
    ],
    ids=["name and words", "a cause without words", "a cause that names itself"],
)
def test_a_cause_is_named_once_and_ends_in_one_full_stop(cause: Exception, told: str) -> None:
    assert str(because(cause)) == f"kafka://b-1:9092: no answer within 8 s: {told}. Check that the brokers run"
